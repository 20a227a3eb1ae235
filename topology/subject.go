package topology

import "strings"

// Match reports whether the pattern takes a subject.
func (p Pattern) Match(s Subject) bool {
	pat, sub := string(p), string(s)
	for {
		pt, prest, pmore := strings.Cut(pat, ".")
		if pt == ">" && !pmore {
			return sub != ""
		}
		st, srest, smore := strings.Cut(sub, ".")
		if st == "" || pt != "*" && pt != st || pmore != smore {
			return false
		}
		if !pmore {
			return true
		}
		pat, sub = prest, srest
	}
}

// Covers reports whether every subject that q takes, p takes too.
func (p Pattern) Covers(q Pattern) bool {
	pt, qt := strings.Split(string(p), "."), strings.Split(string(q), ".")
	for i, t := range pt {
		switch {
		case t == ">":
			return len(qt) > i
		case i >= len(qt) || qt[i] == ">":
			return false
		case t == "*":
		case t != qt[i]:
			return false
		}
	}
	return len(pt) == len(qt)
}

// Overlaps reports whether some subject is taken by both.
func (p Pattern) Overlaps(q Pattern) bool {
	pt, qt := strings.Split(string(p), "."), strings.Split(string(q), ".")
	for i := range min(len(pt), len(qt)) {
		if pt[i] == ">" || qt[i] == ">" {
			return true
		}
		if pt[i] != "*" && qt[i] != "*" && pt[i] != qt[i] {
			return false
		}
	}
	return len(pt) == len(qt)
}

// Valid reports whether NATS takes the pattern as a subscription: tokens that
// are not empty and hold no white space, * alone in its token, > alone at the
// end.
func (p Pattern) Valid() bool {
	tokens := strings.Split(string(p), ".")
	for i, t := range tokens {
		switch {
		case t == "" || strings.ContainsAny(t, " \t\r\n\x00"):
			return false
		case t == ">" && i != len(tokens)-1:
			return false
		case len(t) > 1 && strings.ContainsAny(t, "*>"):
			return false
		}
	}
	return true
}

// maxToken bounds a name that becomes a token of a subject.
const maxToken = 63

// isToken reports whether a name can be a token of a subject and of a stream's
// and a server's name.
func isToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for _, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
		if !ok {
			return false
		}
	}
	return true
}
