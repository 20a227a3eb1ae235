package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed look
var look embed.FS

// repository is where links to files lead that are no pages.
const repository = "https://github.com/ringway/ringway/"

// index is the page that says which there are, and in which order.
const index = "docs/README.md"

// A site is every page, by its path in the repository.
type site struct {
	root  string
	pages map[string]*page
	order []string // as they were found: the index first
	files []string // pictures and the like, to be copied
}

// build makes the site and returns how many pages it has, and the links that
// lead nowhere.
func build(root, out string) (int, []string, error) {
	s := &site{root: root, pages: map[string]*page{}}
	if err := s.find(); err != nil {
		return 0, nil, err
	}
	if err := os.RemoveAll(out); err != nil {
		return 0, nil, err
	}
	if err := s.write(out); err != nil {
		return 0, nil, err
	}
	problems, err := check(out)
	return len(s.pages), problems, err
}

// find reads the index, what it links to, what that links to, and all of docs.
func (s *site) find() error {
	todo := []string{index}
	err := fs.WalkDir(os.DirFS(s.root), "docs", func(p string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(p) == ".md" {
			todo = append(todo, p)
		}
		return err
	})
	if err != nil {
		return err
	}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if s.pages[name] != nil {
			continue
		}
		src, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		p := parse(name, src)
		s.pages[name] = p
		s.order = append(s.order, name)
		for _, to := range p.leadsTo() {
			st, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(to)))
			switch {
			case err != nil:
				return fmt.Errorf("%s links to %s: %w", name, to, err)
			case path.Ext(to) == ".md":
				todo = append(todo, to)
			case !st.IsDir() && isPicture(to) && !slices.Contains(s.files, to):
				s.files = append(s.files, to)
			}
		}
	}
	return nil
}

func isPicture(name string) bool {
	return slices.Contains([]string{".png", ".svg", ".jpg", ".webp", ".gif"}, path.Ext(name))
}

// place is where a file of the repository lies in the site: docs is its root.
func place(name string) string {
	if name == "README.md" {
		return "readme.html"
	}
	name = strings.TrimPrefix(name, "docs/")
	if folder, ok := strings.CutSuffix(name, "README.md"); ok {
		return folder + "index.html"
	}
	if base, ok := strings.CutSuffix(name, ".md"); ok {
		return strings.ToLower(base) + ".html"
	}
	return name
}

// An item is a line of the menu.
type item struct {
	Title, URL string
	Here       bool
}

type section struct {
	Title string
	Items []item
}

type view struct {
	Title, Root string // Root leads to the root of the site
	Menu        []section
	On          []heading // of this page
	Body        template.HTML
	Source      string
}

func (s *site) write(out string) error {
	layout, err := template.ParseFS(look, "look/page.html")
	if err != nil {
		return err
	}
	var found []entry
	for _, name := range s.order {
		p := s.pages[name]
		body, err := p.render(s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		at := place(name)
		up := strings.Repeat("../", strings.Count(at, "/"))
		var b bytes.Buffer
		err = layout.Execute(&b, view{
			Title: p.title, Root: up, Menu: s.menu(name, up), On: p.headings(), Body: template.HTML(body), Source: repository + "blob/main/" + name,
		})
		if err != nil {
			return err
		}
		if err := put(out, at, b.Bytes()); err != nil {
			return err
		}
		found = append(found, p.entries(at)...)
	}
	for _, name := range s.files {
		b, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(name)))
		if err == nil {
			err = put(out, place(name), b)
		}
		if err != nil {
			return err
		}
	}
	list, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if err := put(out, "index.js", append(append([]byte("const pages = "), list...), ";\n"...)); err != nil {
		return err
	}
	for _, name := range []string{"site.css", "search.js"} {
		b, err := look.ReadFile("look/" + name)
		if err == nil {
			err = put(out, name, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func put(out, name string, b []byte) error {
	file := filepath.Join(out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

// menu is what the index says, as it is seen from page here; what it does not
// name of docs comes last.
func (s *site) menu(here, up string) []section {
	var out []section
	listed := map[string]bool{index: true}
	for _, part := range s.pages[index].parts {
		sec := section{Title: part.title}
		for _, l := range part.links {
			if s.pages[l.to] == nil || listed[l.to] {
				continue
			}
			listed[l.to] = true
			sec.Items = append(sec.Items, item{s.label(l), up + place(l.to), l.to == here})
		}
		if len(sec.Items) > 0 {
			out = append(out, sec)
		}
	}
	more := section{Title: "More"}
	for _, name := range s.order {
		if !listed[name] {
			more.Items = append(more.Items, item{s.pages[name].title, up + place(name), name == here})
		}
	}
	if len(more.Items) > 0 {
		out = append(out, more)
	}
	return out
}

// label is what a menu calls a page: what the index does, unless that is a number.
func (s *site) label(l link) string {
	if len(l.text) < 3 {
		return s.pages[l.to].title
	}
	return l.text
}
