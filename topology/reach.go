package topology

import (
	"fmt"
	"slices"
)

// reachability checks that events can come and go: hubs reach each other and a
// leaf reaches its hubs, so what is left are stamps without a hub at all, and
// policies.
func (c *compiler) reachability() {
	if c.rough {
		return
	}
	for i, p := range c.s.ControlPlanes {
		s := c.m.Stamp(StampID(p.Stamp))
		if s != nil && len(c.m.Stamps) > 1 && s.Link.Kind == LinkLeaf && len(s.Link.Via) == 0 {
			c.bad(fmt.Sprintf("controlPlanes[%d].stamp", i), "give the stamp a hub", "stamp %q has no hub, so nobody can reach it", s.ID)
		}
	}
	ways := map[way]bool{}
	for i := range c.s.Stages {
		path := fmt.Sprintf("stages[%d]", i)
		if r := c.rules[path]; r != nil {
			c.answered(path, r, ways)
		}
	}
}

// A way leads from one stamp to another.
type way struct{ from, to StampID }

// answered checks that policies leave a rule a stamp that some control plane
// reaches, and one that may answer.
func (c *compiler) answered(path string, r *StageRule, ways map[way]bool) {
	owners := c.m.ownersOf(r)
	if len(r.Stamps) == 0 || len(owners) == 0 {
		return
	}
	open := func(from, to StampID) bool {
		w := way{from, to}
		if _, known := ways[w]; !known {
			ways[w] = from == to || c.m.open(from, to)
		}
		return ways[w]
	}
	some := func(is func(owner, stamp StampID) bool) bool {
		return slices.ContainsFunc(owners, func(o StampID) bool {
			return slices.ContainsFunc(r.Stamps, func(s StampID) bool { return is(o, s) })
		})
	}
	const hint = "check the policies that match every project and type"
	if !some(open) {
		c.bad(path, hint, "can never deliver: policies let no event of its control plane reach any of its stamps")
	} else if !some(func(o, s StampID) bool { return open(s, o) }) {
		c.bad(path, hint, "can never be answered: policies let none of its stamps reach the control plane")
	}
}

// owned checks that the projects a rule names have a control plane.
func (c *compiler) owned(path string, projects []string) {
	for i, p := range projects {
		if len(c.m.ControlPlanes) > 0 && c.m.ControlOf(p) == nil {
			c.cross(fmt.Sprintf("%s.projects[%d]", path, i), "add it to the projects of one", "no control plane owns project %q", p)
		}
	}
}
