package main

import (
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// markdown reads what forges read. Our own documents may hold HTML: anchors.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	goldmark.WithRendererOptions(html.WithUnsafe()),
)

// anchors gives headings the ids that forges give them, so that links work in
// both places.
type anchors map[string]int

var dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

func (a anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	id := strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(strings.TrimSpace(string(value))), ""), " ", "-")
	n := a[id]
	a[id]++
	if n > 0 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	return []byte(id)
}

func (a anchors) Put(value []byte) { a[string(value)]++ }

// A page is one document.
type page struct {
	name  string // its path in the repository
	title string
	src   []byte
	doc   ast.Node
	parts []part // before render changes where links lead
}

func parse(name string, src []byte) *page {
	p := &page{name: name, src: src, title: name}
	p.doc = markdown.Parser().Parse(text.NewReader(src), parser.WithContext(parser.NewContext(parser.WithIDs(anchors{}))))
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			p.title = p.plain(h)
			break
		}
	}
	p.parts = p.lists()
	return p
}

// plain is the text below a node, without its marks.
func (p *page) plain(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, in bool) (ast.WalkStatus, error) { // it returns no error
		switch n := n.(type) {
		case *ast.Text:
			if in {
				b.Write(n.Value(p.src))
				if n.SoftLineBreak() || n.HardLineBreak() {
					b.WriteByte(' ')
				}
			}
		case *ast.String:
			if in {
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// A link is one that leads to a file of the repository.
type link struct{ text, to string }

// target resolves a link, and reports whether it leads to a file.
func (p *page) target(dest string) (file, anchor string, ok bool) {
	if dest == "" || strings.Contains(dest, ":") || strings.HasPrefix(dest, "#") {
		return "", "", false
	}
	file, anchor, _ = strings.Cut(dest, "#")
	return path.Join(path.Dir(p.name), file), anchor, true
}

// walk calls f for every link and picture; f may change where it leads, and, by
// what it returns, what a link is called.
func (p *page) walk(f func(text string, dest *[]byte) (called string)) {
	_ = ast.Walk(p.doc, func(n ast.Node, in bool) (ast.WalkStatus, error) { // it returns no error
		switch n := n.(type) {
		case *ast.Link:
			if in {
				if called := f(p.plain(n), &n.Destination); called != "" {
					n.RemoveChildren(n)
					n.AppendChild(n, ast.NewString([]byte(called)))
				}
			}
		case *ast.Image:
			if in {
				f(p.plain(n), &n.Destination)
			}
		}
		return ast.WalkContinue, nil
	})
}

// leadsTo returns the files of the repository that the page links to.
func (p *page) leadsTo() []string {
	var out []string
	p.walk(func(_ string, dest *[]byte) string {
		if file, _, ok := p.target(string(*dest)); ok {
			out = append(out, file)
		}
		return ""
	})
	return out
}

// render returns the page as HTML, with links as they are in the site. One that is
// called like a file is called like the page.
func (p *page) render(s *site) (string, error) {
	from := path.Dir(place(p.name))
	p.walk(func(text string, dest *[]byte) string {
		file, anchor, ok := p.target(string(*dest))
		if !ok {
			return ""
		}
		to := repository + "blob/main/" + file
		if s.pages[file] != nil || isPicture(file) {
			rel, err := filepath.Rel(from, place(file))
			if err == nil {
				to = filepath.ToSlash(rel)
			}
		}
		if anchor != "" {
			to += "#" + anchor
		}
		*dest = []byte(to)
		if to := s.pages[file]; to != nil && strings.HasSuffix(text, path.Base(file)) {
			return to.title
		}
		return ""
	})
	var b bytes.Buffer
	err := markdown.Renderer().Render(&b, p.src, p.doc)
	return b.String(), err
}

// A heading is one that a page shows beside itself.
type heading struct{ Text, ID string }

func (p *page) headings() []heading {
	var out []heading
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level == 2 {
			out = append(out, heading{p.plain(h), id(h)})
		}
	}
	return out
}

func id(n ast.Node) string {
	v, _ := n.AttributeString("id")
	b, _ := v.([]byte)
	return string(b)
}

// A part is a heading of the index with the links below it.
type part struct {
	title string
	links []link
}

// lists returns the sections of the index. A heading is no link.
func (p *page) lists() []part {
	var out []part
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level == 2 {
			out = append(out, part{title: p.plain(h)})
			continue
		}
		if len(out) == 0 {
			continue
		}
		sub := &page{name: p.name, src: p.src, doc: n}
		sub.walk(func(text string, dest *[]byte) string {
			if file, anchor, ok := sub.target(string(*dest)); ok && anchor == "" {
				out[len(out)-1].links = append(out[len(out)-1].links, link{text, file})
			}
			return ""
		})
	}
	return out
}

// An entry is what the search finds: a section of a page.
type entry struct {
	Page string `json:"p"`
	Head string `json:"h"`
	URL  string `json:"u"`
	Text string `json:"t"`
}

// maxText is how much of a section the search knows, in bytes.
const maxText = 1500

func (p *page) entries(at string) []entry {
	out := []entry{{Page: p.title, URL: at}}
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		last := &out[len(out)-1]
		if h, ok := n.(*ast.Heading); ok {
			if h.Level > 1 {
				out = append(out, entry{Page: p.title, Head: p.plain(h), URL: at + "#" + id(h)})
			}
			continue
		}
		if len(last.Text) < maxText {
			last.Text += strings.ToLower(p.plain(n)) + " "
		}
	}
	return out
}
