package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	hrefs = regexp.MustCompile(`\b(?:href|src)="([^"]*)"`)
	ids   = regexp.MustCompile(`\bid="([^"]*)"`)
)

// check returns every link of a site that leads to a file or an anchor that is not
// there, and everything that a page would load from elsewhere.
func check(dir string) ([]string, error) {
	text := map[string]string{}
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(tree, p)
		text[p] = string(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for name, page := range text {
		if path.Ext(name) != ".html" {
			continue
		}
		for _, m := range hrefs.FindAllStringSubmatch(page, -1) {
			if why := wrong(text, name, m[1]); why != "" {
				out = append(out, fmt.Sprintf("%s: %s: %s", name, m[1], why))
			} else if strings.HasPrefix(m[0], "src") && strings.Contains(m[1], "://") {
				out = append(out, fmt.Sprintf("%s: %s: is loaded from elsewhere", name, m[1]))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// wrong says what is wrong with a link of page from; nothing if it is right, or
// leads out of the site.
func wrong(text map[string]string, from, href string) string {
	u, err := url.Parse(strings.ReplaceAll(href, "&amp;", "&"))
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		return ""
	}
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	page, ok := text[to]
	switch {
	case !ok:
		return "there is no such file"
	case u.Fragment == "":
		return ""
	}
	for _, m := range ids.FindAllStringSubmatch(page, -1) {
		if m[1] == u.Fragment {
			return ""
		}
	}
	return "there is no such anchor"
}
