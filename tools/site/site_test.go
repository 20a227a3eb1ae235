package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// made writes files into a new folder and builds a site of it.
func made(t *testing.T, files map[string]string) (out string, problems []string, err error) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		if err := put(root, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	out = filepath.Join(t.TempDir(), "public")
	_, problems, err = build(root, out)
	return out, problems, err
}

func read(t *testing.T, out, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(out, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSite(t *testing.T) {
	out, problems, err := made(t, map[string]string{
		"docs/README.md":      "# Documentation\n\n## Readers\n\n- [One](one.md), [2](adr/0001-x.md)\n- [Outside](../NEWS.md)\n",
		"docs/one.md":         "# Page one\n\n## `RW-1` is it\n\n## Twice\n\n## Twice\n\n[a](#twice-1) [b](adr/0001-x.md#why-not) [c](../code.go) [docs/adr/0001-x.md](adr/0001-x.md) ![p](shot.png)\n",
		"docs/adr/0001-x.md":  "# 1. Why\n\n## Why not?\n\n[up](../one.md#rw-1-is-it) [out](https://example.com)\n",
		"docs/forgotten.md":   "# Forgotten\n",
		"docs/shot.png":       "picture",
		"NEWS.md":             "# News\n",
		"code.go":             "package code",
		"docs/pictures/a.txt": "no page",
	})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	one := read(t, out, "one.html")
	for _, want := range []string{
		`<h2 id="rw-1-is-it">`, `id="twice-1"`, `<a href="adr/0001-x.html">1. Why</a>`, `href="adr/0001-x.html#why-not"`, `href="` + repository + `blob/main/code.go"`,
		`<img src="shot.png"`, `aria-current="page">One</a>`, `<title>Page one · Ringway</title>`, `>1. Why</a>`, `>More</h2>`, `href="forgotten.html"`, `href="news.html"`,
	} {
		if !strings.Contains(one, want) {
			t.Errorf("one.html lacks %s:\n%s", want, one)
		}
	}
	if sub := read(t, out, "adr/0001-x.html"); !strings.Contains(sub, `href="../one.html#rw-1-is-it"`) || !strings.Contains(sub, `href="../site.css"`) {
		t.Errorf("a page in a folder:\n%s", sub)
	}
	if got := read(t, out, "shot.png"); got != "picture" {
		t.Error(got)
	}
	if !strings.Contains(read(t, out, "index.js"), `"h":"Why not?"`) {
		t.Error("the search does not know a heading")
	}
}

func TestLinksThatLeadNowhere(t *testing.T) {
	_, problems, err := made(t, map[string]string{"docs/README.md": "# D\n\n[a](#not) [b](x.md#neither)\n\n<img src=\"https://example.com/x.png\">\n", "docs/x.md": "# X\n"})
	want := []string{
		"index.html: #not: there is no such anchor",
		"index.html: https://example.com/x.png: is loaded from elsewhere",
		"index.html: x.html#neither: there is no such anchor",
	}
	if err != nil || !slices.Equal(problems, want) {
		t.Error(err, problems)
	}
	if _, _, err := made(t, map[string]string{"docs/README.md": "# D\n\n[a](gone.md)\n"}); err == nil || !strings.Contains(err.Error(), "docs/README.md links to gone.md") && !strings.Contains(err.Error(), "gone.md") {
		t.Error(err)
	}
}
