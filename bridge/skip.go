package bridge

import "math/bits"

// This file reads what routing does not need, which is most of an event.

// value reads any value and forgets it. depth is that of the value. It does
// not call itself, and knows where it is by variables of its own alone: most of an
// event is read here. What is not as encoding/json writes it, spaces for one, is
// left to others.
func (sc *scanner) value(depth int) error {
	s, i, outer := sc.s, sc.i, depth
	var end byte // of what the value lies in
	for {
		sc.i = i
		switch c := sc.peek(); c {
		case '"':
			if to := plain(s, i+1); to < len(s) && s[to] == '"' {
				i = to + 1
				break
			}
			if err := sc.skipString(); err != nil {
				return err
			}
			i = sc.i
		case '{', '[':
			opened, err := sc.open(depth, c+2) // in ASCII, } is { + 2 and ] is [ + 2
			if err != nil {
				return err
			}
			i = sc.i
			if opened {
				end = c + 2
				depth++
				continue
			}
		default:
			if to := integer(s, i); to > 0 {
				i = to
				break
			}
			if err := sc.scalar(c); err != nil {
				return err
			}
			i = sc.i
		}
		for { // what follows the value
			if depth == outer {
				sc.i = i
				return nil
			}
			if i < len(s) && s[i] == ',' {
				i++
				break
			}
			if i == len(s) || s[i] != end {
				sc.i = i
				more, err := sc.next(end)
				if err != nil {
					return err
				}
				i = sc.i
				if more {
					break
				}
			} else {
				i++
			}
			if depth--; depth > outer {
				end = sc.closer(depth - 1)
			}
		}
		if end == '}' {
			if to := key(s, i); to > 0 {
				i = to
				continue
			}
		}
		sc.i = i
		if err := sc.member(end); err != nil {
			return err
		}
		i = sc.i
	}
}

// key returns where the value begins whose key begins at i, and 0 where the key
// has an escape, or a space behind it, or is none.
func key(s string, i int) int {
	if i >= len(s) || s[i] != '"' {
		return 0
	}
	i = plain(s, i+1)
	if i+2 >= len(s) || s[i] != '"' || s[i+1] != ':' || s[i+2] <= ' ' {
		return 0
	}
	return i + 2
}

// integer returns where a number ends that begins at i and is nothing but digits,
// and 0 where there is none.
func integer(s string, i int) int {
	if i >= len(s) || s[i]-'1' > 8 {
		return 0
	}
	for i++; i < len(s) && s[i]-'0' <= 9; i++ {
	}
	if i == len(s) || s[i] != ',' && s[i] != '}' && s[i] != ']' {
		return 0
	}
	return i
}

// scalar reads a value that begins with c and is no string, object or array.
func (sc *scanner) scalar(c byte) error {
	switch c {
	case 't':
		return sc.word("true")
	case 'f':
		return sc.word("false")
	case 'n':
		return sc.word("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return sc.number()
	}
	return sc.fail("not a value")
}

// open reads the beginning of an object or array that ends with end. opened is false
// if nothing is in it, and all of it has been read.
func (sc *scanner) open(depth int, end byte) (opened bool, err error) {
	if depth > maxDepth {
		return false, sc.fail("nested too deep")
	}
	sc.i++
	sc.space()
	if sc.peek() == end {
		sc.i++
		return false, nil
	}
	bit := uint64(1) << (depth % 64)
	sc.arrays[depth/64] &^= bit
	if end == ']' {
		sc.arrays[depth/64] |= bit
		return true, nil
	}
	if to := key(sc.s, sc.i); to > 0 {
		sc.i = to
		return true, nil
	}
	return true, sc.member(end)
}

// closer returns what ends the container that was opened at depth.
func (sc *scanner) closer(depth int) byte {
	if sc.arrays[depth/64]>>(depth%64)&1 == 1 {
		return ']'
	}
	return '}'
}

// member reads what comes before a value inside a container that ends with
// end: its key, if that is an object.
func (sc *scanner) member(end byte) error {
	sc.space()
	if end == ']' {
		return nil
	}
	if sc.peek() != '"' {
		return sc.fail("not a string")
	}
	if err := sc.skipString(); err != nil {
		return err
	}
	return sc.colon()
}

// colon reads what lies between a key and its value.
func (sc *scanner) colon() error {
	sc.space()
	if sc.peek() != ':' {
		return sc.fail("no colon after a key")
	}
	sc.i++
	sc.space()
	return nil
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

// skipString reads a string without unescaping it.
func (sc *scanner) skipString() error {
	i := sc.i + 1
	for {
		i = plain(sc.s, i)
		if i < len(sc.s) && sc.s[i] == '"' {
			sc.i = i + 1
			return nil
		}
		sc.i = i
		switch {
		case i == len(sc.s):
			return sc.fail("string without end")
		case sc.s[i] != '\\':
			return sc.fail("control character in a string")
		}
		if err := sc.escape(); err != nil {
			return err
		}
		i = sc.i + 1
	}
}

// plain returns where the next byte at or after i is that does not stand for
// itself in a string: a quote, a backslash, a control character, or the end.
// It looks at eight bytes at a time.
func plain(s string, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8] // looked at for its bounds once
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		quote, slash := x^ones*'"', x^ones*'\\'
		// The top bit of each byte: that it is less than 0x20, or 0 after the
		// exclusive or. A wrong one can only lie above a right one.
		found := ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(s) && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
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
