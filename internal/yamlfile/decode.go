package yamlfile

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Decode parses data and decodes it into the struct that to points to, by its
// yaml tags. What the file does not name stays as it is. Its error is of type
// Problems.
func Decode(name string, data []byte, to any) error {
	f, err := Parse(name, data)
	if err != nil {
		return err
	}
	return f.Decode(to)
}

// Decode decodes the file into the struct that to points to.
func (f *File) Decode(to any) error {
	if f.root == nil {
		return nil
	}
	d := &decoder{f: f}
	d.value(nil, f.root, reflect.ValueOf(to).Elem())
	if len(d.problems) > 0 {
		return d.problems
	}
	return nil
}

// A Namer is a struct that may also be written as a bare word: `geos: [eu]`
// for `geos: [{name: eu}]`.
type Namer interface{ SetName(name string) }

type decoder struct {
	f        *File
	problems Problems
}

func (d *decoder) bad(n *yaml.Node, at *trail, hint, format string, args ...any) {
	d.problems = d.problems.add(Problem{
		File: d.f.Name, Line: n.Line, Col: n.Column, Path: at.String(), Msg: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (d *decoder) value(at *trail, n *yaml.Node, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(at, n, v)
	case reflect.Slice:
		d.list(at, n, v)
	case reflect.Map:
		d.table(at, n, v)
	default:
		d.scalar(at, n, v)
	}
}

func (d *decoder) object(at *trail, n *yaml.Node, v reflect.Value) {
	if namer, ok := v.Addr().Interface().(Namer); ok && n.Kind == yaml.ScalarNode {
		namer.SetName(n.Value)
		return
	}
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "write keys and values", "is %s, not an object", kindName(n))
		return
	}
	fields := fieldsOf(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		index, ok := fields[key.Value]
		if !ok {
			d.bad(key, at.child(key.Value), nearest(key.Value, fields), "is not a known key")
			continue
		}
		d.value(at.child(key.Value), n.Content[i+1], v.Field(index))
	}
}

func fieldsOf(t reflect.Type) map[string]int {
	out := map[string]int{}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" {
			out[name] = i
		}
	}
	return out
}

func (d *decoder) list(at *trail, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.bad(n, at, "write a list: [a, b]", "is %s, not a list", kindName(n))
		return
	}
	if len(n.Content) == 0 {
		v.SetZero() // an empty list means what no list means
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(at.element(i), c, out.Index(i))
	}
	v.Set(out)
}

func (d *decoder) table(at *trail, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, at, "write keys and values", "is %s, not an object", kindName(n))
		return
	}
	out := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(at.child(n.Content[i].Value), n.Content[i+1], e)
		out.SetMapIndex(reflect.ValueOf(n.Content[i].Value).Convert(v.Type().Key()), e)
	}
	v.Set(out)
}

func (d *decoder) scalar(at *trail, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.bad(n, at, "", "is %s, not a single value", kindName(n))
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		t, err := time.ParseDuration(n.Value)
		if err != nil {
			d.bad(n, at, "write it as 90s, 10m or 24h", "%q is not a duration", clip(n.Value))
			return
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		if n.Tag != "!!bool" {
			d.bad(n, at, "write true or false", "%q is not true or false", clip(n.Value))
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case v.CanInt():
		i, err := strconv.ParseInt(n.Value, 10, 64)
		switch {
		case err != nil || v.OverflowInt(i):
			d.bad(n, at, "", "%q is not a whole number", clip(n.Value))
			return
		case n.Tag != "!!int":
			d.bad(n, at, "write it without quotes", "%q is a text, not a number", n.Value)
			return
		}
		v.SetInt(i)
	case v.CanFloat():
		d.fraction(at, n, v)
	default:
		d.bad(n, at, "", "cannot be set")
	}
}

// fraction sets a number that need not be whole. NaN and infinities are none.
func (d *decoder) fraction(at *trail, n *yaml.Node, v reflect.Value) {
	x, err := strconv.ParseFloat(n.Value, v.Type().Bits())
	switch {
	case err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		d.bad(n, at, "", "%q is not a number", clip(n.Value))
	case n.Tag != "!!float" && n.Tag != "!!int":
		d.bad(n, at, "write it without quotes", "%q is a text, not a number", n.Value)
	default:
		v.SetFloat(x)
	}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "an object"
	}
	return strconv.Quote(clip(n.Value))
}

// maxKey bounds the words for which a known key is looked for.
const maxKey = 40

// nearest suggests the known key that is most like a word.
func nearest(word string, known map[string]int) string {
	best, least := "", 3
	if len(word) > maxKey {
		return ""
	}
	for k := range known {
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n < least || n == least && k < best {
			best, least = k, n
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance is how many letters must change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Marshal returns v as YAML.
func Marshal(v any) ([]byte, error) { return yaml.Marshal(v) }
