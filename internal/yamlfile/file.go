package yamlfile

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize bounds the size of a file, in bytes, and maxDepth its nesting.
const (
	MaxSize  = 4 << 20
	maxDepth = 64
)

// A File is a parsed file that remembers where each value stands.
type File struct {
	Name string

	root  *yaml.Node // nil for an empty file
	place map[string]position
}

type position struct{ line, col int }

// Parse reads one YAML document. Its error is of type Problems.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name, place: map[string]position{}}
	if len(data) > MaxSize {
		return nil, Problems{{File: name, Msg: fmt.Sprintf("is larger than %d bytes", MaxSize)}}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return f, nil
	case err != nil:
		return nil, Problems{f.syntax(err)}
	}
	var next yaml.Node
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, Problems{{File: name, Line: next.Line, Col: max(next.Column, 1), Msg: "holds more than one document", Hint: "keep the first"}}
	}
	f.root = doc.Content[0]
	if ps := f.index("", f.root, 0); len(ps) > 0 {
		return nil, ps
	}
	return f, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax makes a Problem of an error of the YAML library, which knows a line
// at most.
func (f *File) syntax(err error) Problem {
	p := Problem{File: f.Name, Msg: "is not YAML: " + yamlLine.ReplaceAllString(err.Error(), "")}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		p.Line, _ = strconv.Atoi(m[1])
		p.Col = 1
	}
	return p
}

// index notes the place of every value and refuses what a configuration file
// has no need of: aliases, deep nesting, keys that are not plain words.
func (f *File) index(path string, n *yaml.Node, depth int) Problems {
	f.place[path] = position{n.Line, n.Column}
	bad := func(format string, args ...any) Problems {
		return Problems{{File: f.Name, Line: n.Line, Col: n.Column, Path: path, Msg: fmt.Sprintf(format, args...)}}
	}
	if depth > maxDepth {
		return bad("is nested too deep")
	}
	var out Problems
	switch n.Kind {
	case yaml.AliasNode:
		return bad("is an alias, which is not supported")
	case yaml.SequenceNode:
		for i, c := range n.Content {
			out = append(out, f.index(fmt.Sprintf("%s[%d]", path, i), c, depth+1)...)
		}
	case yaml.MappingNode:
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				out = append(out, Problem{File: f.Name, Line: k.Line, Col: k.Column, Path: path, Msg: "has a key that is not a word"})
				continue
			}
			at := Join(path, k.Value)
			if line, ok := seen[k.Value]; ok {
				out = append(out, Problem{File: f.Name, Line: k.Line, Col: k.Column, Path: at, Msg: fmt.Sprintf("is given twice, first on line %d", line)})
				continue
			}
			seen[k.Value] = k.Line
			out = append(out, f.index(at, n.Content[i+1], depth+1)...)
		}
	}
	return out
}

// Join appends a key to a path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Problem makes a Problem at a path of the file: at the value's place, or that
// of the nearest value around it.
func (f *File) Problem(path, hint, format string, args ...any) Problem {
	p := Problem{File: f.Name, Path: path, Msg: fmt.Sprintf(format, args...), Hint: hint}
	for at := path; ; {
		if pos, ok := f.place[at]; ok {
			p.Line, p.Col = pos.line, pos.col
			return p
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			if at == "" {
				return p
			}
			i = 0
		}
		at = at[:i]
	}
}

// Line returns the line of the value at path, or 0.
func (f *File) Line(path string) int { return f.place[path].line }

// Value returns the file as plain values: maps with text keys, lists, texts,
// numbers, booleans and nil.
func (f *File) Value() any {
	if f.root == nil {
		return nil
	}
	var v any
	_ = f.root.Decode(&v) // Parse has taken it
	return v
}
