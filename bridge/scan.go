package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"unsafe"
)

// maxDepth bounds the nesting of an event, so that no body can exhaust the
// stack. encoding/json, which Keptn's programs use, allows 10,000.
const maxDepth = 1000

// A scanner reads JSON once, strictly (RFC 8259), and keeps the values an
// Event needs. It exists because decoding a whole event to learn four strings
// costs more than the rest of the way through the gateway.
type scanner struct {
	s string
	i int

	// arrays has a bit for each depth: whether what is open there is an array.
	arrays [maxDepth/64 + 1]uint64
}

// scanEvent fills e from its body.
func scanEvent(e *Event) error {
	// The body is not changed any more, so the strings of e can be parts of it.
	sc := &scanner{s: unsafe.String(unsafe.SliceData(e.body), len(e.body))} //nolint:gosec // as said
	sc.space()
	if sc.peek() != '{' {
		return errors.New("not a JSON object")
	}
	err := sc.object(1, func(key string) error { return sc.attribute(e, key) })
	if err != nil {
		return err
	}
	sc.space()
	if sc.i != len(sc.s) {
		return sc.fail("text after the object")
	}
	return nil
}

// attribute reads the value of a top-level key.
func (sc *scanner) attribute(e *Event, key string) error {
	if key == "data" {
		return sc.data(e)
	}
	var to *string
	switch key {
	case "id":
		to = &e.ID
	case "type":
		to = &e.Type
	case "source":
		to = &e.Source
	case "specversion":
		to = &e.SpecVersion
	case "time":
		to = &e.Time
	case "shkeptncontext":
		to = &e.Context
	case "triggeredid":
		to = &e.TriggeredID
	default:
		return sc.value(2)
	}
	return sc.stringField(key, to)
}

// data reads the data block. Keptn cannot decode a data block that is not an
// object, or whose labels are not strings, and drops the event in silence.
func (sc *scanner) data(e *Event) error {
	switch sc.peek() {
	case '{':
	case 'n':
		return sc.value(2)
	default:
		return sc.fail("data is not an object")
	}
	return sc.object(2, func(key string) error {
		switch key {
		case "project":
			return sc.stringField("data.project", &e.Project)
		case "stage":
			return sc.stringField("data.stage", &e.Stage)
		case "service":
			return sc.stringField("data.service", &e.Service)
		case "labels":
			return sc.labels()
		}
		return sc.value(3)
	})
}

func (sc *scanner) labels() error {
	switch sc.peek() {
	case 'n':
		return sc.value(3)
	case '{':
	default:
		return sc.fail("data.labels is not an object")
	}
	return sc.object(3, func(key string) error {
		if c := sc.peek(); c != '"' && c != 'n' {
			return fmt.Errorf("data.labels.%.60s is not a string", key)
		}
		return sc.value(4)
	})
}

// stringField reads a string, or null for none.
func (sc *scanner) stringField(name string, to *string) error {
	switch sc.peek() {
	case '"':
		s, err := sc.str()
		*to = s
		return err
	case 'n':
		*to = ""
		return sc.value(2)
	}
	return fmt.Errorf("%s is not a string", name)
}

// object reads an object and calls field after each key, to read the value.
func (sc *scanner) object(depth int, field func(key string) error) error {
	if depth > maxDepth {
		return sc.fail("nested too deep")
	}
	sc.i++ // {
	sc.space()
	if sc.peek() == '}' {
		sc.i++
		return nil
	}
	for {
		sc.space()
		key, err := sc.str()
		if err != nil {
			return err
		}
		if err := sc.colon(); err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
		more, err := sc.next('}')
		if !more {
			return err
		}
	}
}

// next reads what follows a member: a comma, or the end.
func (sc *scanner) next(end byte) (more bool, err error) {
	sc.space()
	switch sc.peek() {
	case ',':
		sc.i++
		return true, nil
	case end:
		sc.i++
		return false, nil
	}
	return false, sc.fail("no comma between values")
}

// str reads a string and returns it unescaped.
func (sc *scanner) str() (string, error) {
	if sc.peek() != '"' {
		return "", sc.fail("not a string")
	}
	from := sc.i
	if end := plain(sc.s, from+1); end < len(sc.s) && sc.s[end] == '"' {
		sc.i = end + 1
		return sc.s[from+1 : end], nil
	}
	if err := sc.skipString(); err != nil {
		return "", err
	}
	var out string
	if err := json.Unmarshal([]byte(sc.s[from:sc.i]), &out); err != nil {
		return "", sc.fail("bad escape in a string")
	}
	return out, nil
}

func (sc *scanner) space() {
	if sc.i < len(sc.s) && sc.s[sc.i] <= ' ' { // hardly ever: then this is all
		sc.spaces()
	}
}

func (sc *scanner) spaces() {
	for sc.i < len(sc.s) {
		switch sc.s[sc.i] {
		case ' ', '\t', '\n', '\r':
			sc.i++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end.
func (sc *scanner) peek() byte {
	if sc.i < len(sc.s) {
		return sc.s[sc.i]
	}
	return 0
}

func (sc *scanner) fail(what string) error { return fmt.Errorf("%s at byte %d", what, sc.i) }
