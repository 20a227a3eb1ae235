package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
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
}

// scanEvent fills e from its body.
func scanEvent(e *Event) error {
	sc := &scanner{s: string(e.body)}
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
		sc.space()
		if sc.peek() != ':' {
			return sc.fail("no colon after a key")
		}
		sc.i++
		sc.space()
		if err := field(key); err != nil {
			return err
		}
		more, err := sc.next('}')
		if !more {
			return err
		}
	}
}

func (sc *scanner) array(depth int) error {
	if depth > maxDepth {
		return sc.fail("nested too deep")
	}
	sc.i++ // [
	sc.space()
	if sc.peek() == ']' {
		sc.i++
		return nil
	}
	for {
		sc.space()
		if err := sc.value(depth + 1); err != nil {
			return err
		}
		more, err := sc.next(']')
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

// value reads any value and forgets it. depth is that of the value.
func (sc *scanner) value(depth int) error {
	switch c := sc.peek(); {
	case c == '"':
		return sc.skipString()
	case c == '{':
		return sc.object(depth, func(string) error { return sc.value(depth + 1) })
	case c == '[':
		return sc.array(depth)
	case c == 't':
		return sc.word("true")
	case c == 'f':
		return sc.word("false")
	case c == 'n':
		return sc.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return sc.number()
	}
	return sc.fail("not a value")
}

func (sc *scanner) word(w string) error {
	if len(sc.s)-sc.i < len(w) || sc.s[sc.i:sc.i+len(w)] != w {
		return sc.fail("not a value")
	}
	sc.i += len(w)
	return nil
}

func (sc *scanner) number() error {
	if sc.peek() == '-' {
		sc.i++
	}
	if sc.peek() == '0' {
		sc.i++
	} else if !sc.digits() {
		return sc.fail("not a number")
	}
	if sc.peek() == '.' {
		sc.i++
		if !sc.digits() {
			return sc.fail("not a number")
		}
	}
	if c := sc.peek(); c == 'e' || c == 'E' {
		sc.i++
		if c := sc.peek(); c == '+' || c == '-' {
			sc.i++
		}
		if !sc.digits() {
			return sc.fail("not a number")
		}
	}
	return nil
}

func (sc *scanner) digits() bool {
	from := sc.i
	for sc.i < len(sc.s) && sc.s[sc.i] >= '0' && sc.s[sc.i] <= '9' {
		sc.i++
	}
	return sc.i > from
}

// str reads a string and returns it unescaped.
func (sc *scanner) str() (string, error) {
	if sc.peek() != '"' {
		return "", sc.fail("not a string")
	}
	from := sc.i
	plain := true
	for sc.i++; sc.i < len(sc.s); sc.i++ {
		switch c := sc.s[sc.i]; {
		case c == '"':
			sc.i++
			if plain {
				return sc.s[from+1 : sc.i-1], nil
			}
			var out string
			if err := json.Unmarshal([]byte(sc.s[from:sc.i]), &out); err != nil {
				return "", sc.fail("bad escape in a string")
			}
			return out, nil
		case c == '\\':
			plain = false
			sc.i++
		case c < 0x20:
			return "", sc.fail("control character in a string")
		}
	}
	return "", sc.fail("string without end")
}

// skipString reads a string without unescaping it.
func (sc *scanner) skipString() error {
	for sc.i++; sc.i < len(sc.s); sc.i++ {
		switch c := sc.s[sc.i]; {
		case c == '"':
			sc.i++
			return nil
		case c == '\\':
			if err := sc.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return sc.fail("control character in a string")
		}
	}
	return sc.fail("string without end")
}

// escape checks the escape at a backslash and stops on its last character.
func (sc *scanner) escape() error {
	sc.i++
	switch sc.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			sc.i++
			if !isHex(sc.peek()) {
				return sc.fail("bad escape in a string")
			}
		}
		return nil
	}
	return sc.fail("bad escape in a string")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (sc *scanner) space() {
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
