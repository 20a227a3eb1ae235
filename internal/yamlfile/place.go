package yamlfile

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A trail is the way from the root of a file to a value, nil for the root. Its
// text is made only when there is something to say about the value: made for
// every value, long keys around a long list would cost gigabytes.
type trail struct {
	up    *trail
	key   string
	index int // of an element of a list; -1 for a key
}

func (t *trail) child(key string) *trail { return &trail{up: t, key: key, index: -1} }

func (t *trail) element(i int) *trail { return &trail{up: t, index: i} }

// String returns the path, as "stamps[2].link.via".
func (t *trail) String() string {
	switch {
	case t == nil:
		return ""
	case t.index >= 0:
		return fmt.Sprintf("%s[%d]", t.up, t.index)
	}
	return Join(t.up.String(), clip(t.key))
}

// clip shortens text for a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
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
	if n, _ := f.find(path); n != nil {
		p.Line, p.Col = n.Line, n.Column
	}
	return p
}

// Line returns the line of the value at path, or 0.
func (f *File) Line(path string) int {
	if n, whole := f.find(path); whole {
		return n.Line
	}
	return 0
}

// find follows a path as far as the file does, and reports whether that was
// the whole of it. The node is nil for an empty file only.
func (f *File) find(path string) (n *yaml.Node, whole bool) {
	for n = f.root; n != nil && path != ""; {
		next, rest := step(n, path)
		if next == nil {
			return n, false
		}
		n, path = next, rest
	}
	return n, n != nil
}

// step follows the first part of a path. A key may hold dots, so the longest
// key that fits is the one that is meant.
func step(n *yaml.Node, path string) (next *yaml.Node, rest string) {
	switch n.Kind {
	case yaml.SequenceNode:
		digits, after, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(digits)
		if !ok || err != nil || i < 0 || i >= len(n.Content) {
			return nil, ""
		}
		return n.Content[i], strings.TrimPrefix(after, ".")
	case yaml.MappingNode:
		longest := -1
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			after, ok := strings.CutPrefix(path, key)
			if !ok || len(key) <= longest || after != "" && after[0] != '.' && after[0] != '[' {
				continue
			}
			longest, next, rest = len(key), n.Content[i+1], strings.TrimPrefix(after, ".")
		}
	}
	return next, rest
}
