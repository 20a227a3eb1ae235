package topology

import (
	"slices"
	"strings"
)

// alsoWrong adds to the problems of a file that does not load those that its
// meaning has, so that all are reported at once. What only follows from a part
// that could not be read is left out.
func (s *Spec) alsoWrong(unread Problems) Problems {
	c := newCompiler(s)
	c.unread(unread)
	c.check()
	out := slices.Clone(unread)
	for _, p := range c.problems {
		if !slices.ContainsFunc(unread, func(u Problem) bool { return s.follows(p, u) }) {
			out = append(out, p)
		}
	}
	byPlace(out)
	return out
}

// follows reports whether p is about a value that could not be read, or about
// the lack of one beside a key that is not known: most likely that one is
// meant.
func (s *Spec) follows(p, unread Problem) bool {
	inside := p.Path == unread.Path || strings.HasPrefix(p.Path, unread.Path+".") || strings.HasPrefix(p.Path, unread.Path+"[")
	missing := s.file.Line(p.Path) == 0
	return inside || missing && parent(p.Path) == parent(unread.Path)
}

// parent returns the path of the object or list that holds the value at path.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// unread notes which lists are not whole: names may be missing from them.
func (c *compiler) unread(ps Problems) {
	c.unsure = map[string]bool{}
	for _, p := range ps {
		list, _, _ := strings.Cut(p.Path, ".")
		list, _, _ = strings.Cut(list, "[")
		switch list {
		case "geos", "rings":
			c.unsure[strings.TrimSuffix(list, "s")] = true
		}
		atTop := list == p.Path // perhaps one of the lists, misspelt
		c.rough = c.rough || atTop || slices.Contains([]string{"defaults", "geos", "rings", "stamps", "controlPlanes"}, list)
	}
	nameless := func(e StampEntry) bool { return !isToken(e.Name) }
	c.unsure["stamp"] = len(c.s.Stamps) == 0 || slices.ContainsFunc(c.s.Stamps, nameless)
}

// cross reports a problem among several entries, unless some of them could not
// be read.
func (c *compiler) cross(path, hint, format string, args ...any) {
	if !c.rough {
		c.bad(path, hint, format, args...)
	}
}
