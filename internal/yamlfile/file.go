package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// MaxSize bounds the size of a file, in bytes; maxDepth its nesting; and
// maxProblems how many problems are reported of it.
const (
	MaxSize     = 1 << 20
	maxDepth    = 64
	maxProblems = 1000
)

// A File is a parsed file that knows where each value stands.
type File struct {
	Name string

	root *yaml.Node // nil for an empty file
}

// Parse reads one YAML document. Its error is of type Problems.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name}
	if len(data) > MaxSize {
		return nil, Problems{{File: name, Msg: fmt.Sprintf("is larger than %d bytes", MaxSize)}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return f, nil
	case err != nil:
		return nil, Problems{f.syntax(err)}
	}
	var next yaml.Node
	switch err := dec.Decode(&next); {
	case err == nil:
		return nil, Problems{{File: name, Line: next.Line, Col: max(next.Column, 1), Msg: "holds more than one document", Hint: "keep the first"}}
	case !errors.Is(err, io.EOF):
		return nil, Problems{f.syntax(err)}
	}
	f.root = doc.Content[0]
	c := checker{f: f}
	c.check(nil, f.root, 0)
	if len(c.problems) > 0 {
		return nil, c.problems
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

// A checker refuses what a configuration file has no need of: aliases, tags,
// deep nesting, repeated keys, keys that are not plain words.
type checker struct {
	f        *File
	problems Problems
}

func (c *checker) bad(n *yaml.Node, at *trail, hint, format string, args ...any) {
	c.problems = c.problems.add(Problem{
		File: c.f.Name, Line: n.Line, Col: n.Column, Path: at.String(), Msg: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (c *checker) check(at *trail, n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		c.bad(n, at, "", "is nested too deep")
		return
	case n.Kind == yaml.AliasNode:
		c.bad(n, at, "write the value again", "is an alias, which is not supported")
		return
	case n.Style&yaml.TaggedStyle != 0:
		c.bad(n, at, "drop it", "has the tag %s, which is not supported", clip(n.Tag))
		return
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, e := range n.Content {
			c.check(at.element(i), e, depth+1)
		}
	case yaml.MappingNode:
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				c.bad(k, at, "", "has a key that is not a word")
				continue
			}
			child := at.child(k.Value)
			if line, ok := seen[k.Value]; ok {
				c.bad(k, child, "keep one of them", "is given twice, first on line %d", line)
				continue
			}
			seen[k.Value] = k.Line
			c.check(child, n.Content[i+1], depth+1)
		}
	}
}

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
