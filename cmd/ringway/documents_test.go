package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocumentsNameCommandsThatExist: every `ringway …` in a shell block of a
// document is a command line that the program takes, and every one within a
// sentence names verbs and flags that there are.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile("`(ringway(?: [^`\n]+)?)`")
	n := 0
	for _, file := range documents(t) {
		b, err := os.ReadFile(file) //nolint:gosec // of this repository
		require.NoError(t, err)
		fence, joined := "", ""
		for i, line := range strings.Split(string(b), "\n") {
			at := file + ":" + strconv.Itoa(i+1)
			if info, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
				if fence == "" {
					fence = info + " "
				} else {
					fence = ""
				}
				continue
			}
			switch {
			case strings.HasPrefix(fence, "sh "):
				if more, ok := strings.CutSuffix(line, "\\"); ok {
					joined += more
					continue
				}
				n++
				checkLine(t, at, joined+line)
				joined = ""
			case strings.HasPrefix(fence, "text "):
				if command, ok := strings.CutPrefix(line, "$ "); ok {
					checkLine(t, at, command)
				}
			case fence == "":
				for _, m := range inline.FindAllStringSubmatch(line, -1) {
					n++
					if err := mentions(m[1]); err != nil {
						t.Errorf("%s: `%s`: %v", at, m[1], err)
					}
				}
			}
		}
	}
	require.Greater(t, n, 100)
}

// documents returns every Markdown file of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && p != "../.." && (name[0] == '.' || name == "testdata" || name == "public"):
			return filepath.SkipDir
		case filepath.Ext(p) == ".md":
			out = append(out, p)
		}
		return nil
	}))
	return out
}

// mentions checks words within a sentence: what follows the verbs may be a
// placeholder, and a flag may lack its value.
func mentions(text string) error {
	words := strings.Fields(text)[1:]
	var verbs []string
	for _, w := range words {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(w) {
			break
		}
		verbs = append(verbs, w)
	}
	c, rest, err := newRootCommand().Find(verbs)
	if err != nil {
		return err
	}
	if !c.Runnable() && c.HasParent() && len(rest) > 0 {
		return usageError{err: errUnknown(rest[0])}
	}
	for _, w := range words {
		name, long := strings.CutPrefix(strings.Trim(w, "[]()"), "--")
		name, _, _ = strings.Cut(name, "=")
		if long && name != "help" && c.Flag(name) == nil {
			return errUnknown("--" + name)
		}
	}
	return nil
}

type errUnknown string

func (e errUnknown) Error() string { return "there is no " + string(e) }
