package topology

import (
	"fmt"
	"slices"
	"strings"
)

// reserved are subjects that a custom route must not carry: Keptn's have rules
// of their own, the others are NATS's or ours.
var reserved = []Pattern{"sh.keptn.>", "rw.>", "cap.>", "$SYS.>", "$JS.>", "$KV.>", "$O.>", "_INBOX.>", "_R_.>", "_GR_.>"}

func (c *compiler) routes() {
	names := map[string]bool{}
	for i, e := range c.s.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		if !c.token(path+".name", e.Name) {
			continue
		}
		if names[e.Name] {
			c.bad(path+".name", "", "%q is there twice", e.Name)
		}
		names[e.Name] = true
		if !c.routeSubject(path+".subject", e.Subject) {
			continue
		}
		before := len(c.problems)
		r := &Route{
			Name: e.Name, Subject: Pattern(e.Subject), Line: c.s.file.Line(path),
			From: c.ids(path+".from", e.From), To: c.ids(path+".to", e.To),
			Mode: oneOf(c, path+".mode", e.Mode, RouteDurable, RouteDurable, RouteLive),
		}
		nowhere := len(r.From) == 0 || len(r.To) == 0 || len(r.From) == 1 && slices.Equal(r.From, r.To)
		if nowhere && len(c.problems) == before {
			c.cross(path, "check from and to", "goes from no stamp to another")
		}
		for _, o := range c.m.Routes {
			c.ambiguous(path, r, o)
		}
		c.m.Routes = append(c.m.Routes, r)
	}
}

func (c *compiler) routeSubject(path, subject string) bool {
	p := Pattern(subject)
	if !p.Valid() {
		c.bad(path, "write something like orders.>", "%.100q is not a NATS subject", subject)
		return false
	}
	if strings.HasPrefix(subject, "$") {
		c.bad(path, "", "%.100q begins with $, which is NATS's own", subject)
		return false
	}
	for _, r := range reserved {
		if p.Overlaps(r) {
			c.bad(path, "", "%q overlaps %s, which is not for routes", subject, r)
			return false
		}
	}
	return true
}

// ambiguous reports two routes that would carry the same message of the same
// stamp in two ways.
func (c *compiler) ambiguous(path string, r, o *Route) {
	if !r.Subject.Overlaps(o.Subject) || !shareStamp(r.From, o.From) {
		return
	}
	switch {
	case r.Mode != o.Mode:
		c.bad(path, "give both the same mode, or make the subjects disjoint", "overlaps route %q, which has another mode", o.Name)
	case !r.Subject.Covers(o.Subject) && !o.Subject.Covers(r.Subject):
		c.bad(path, "make one subject cover the other, or both disjoint", "overlaps route %q in part, and one stream cannot hold both", o.Name)
	}
}

func shareStamp(a, b []StampID) bool {
	return slices.ContainsFunc(a, func(id StampID) bool { return slices.Contains(b, id) })
}

func (c *compiler) policies() {
	names := map[string]bool{}
	for i, e := range c.s.Policies {
		path := fmt.Sprintf("policies[%d]", i)
		if !c.token(path+".name", e.Name) {
			continue
		}
		if names[e.Name] {
			c.bad(path+".name", "", "%q is there twice", e.Name)
		}
		names[e.Name] = true
		if e.Effect == "" {
			c.bad(path+".effect", "write allow or deny", "is missing")
		}
		p := &Policy{
			Name: e.Name, Effect: oneOf(c, path+".effect", e.Effect, EffectDeny, EffectAllow, EffectDeny),
			From: c.set(path+".from", e.From), To: c.set(path+".to", e.To),
			Projects: e.Projects, Line: c.s.file.Line(path),
		}
		for j, t := range e.Types {
			if !Pattern(t).Valid() {
				c.bad(fmt.Sprintf("%s.types[%d]", path, j), "write something like sh.keptn.event.*.finished", "%.100q is not a subject", t)
			}
			p.Types = append(p.Types, Pattern(t))
		}
		for _, o := range c.m.Policies {
			c.hidden(path, p, o)
		}
		c.m.Policies = append(c.m.Policies, p)
	}
}

// hidden reports a policy that changes nothing because of another one.
func (c *compiler) hidden(path string, p, o *Policy) {
	switch {
	case p.Effect == o.Effect && wider(o, p), o.Effect == EffectDeny && wider(o, p):
		c.cross(path, "drop it, or make policy "+o.Name+" narrower", "changes nothing: %s policy %q takes everything it takes", o.Effect, o.Name)
	case p.Effect == o.Effect && wider(p, o), p.Effect == EffectDeny && wider(p, o):
		c.cross(path, "drop policy "+o.Name+", or make this one narrower", "takes everything that %s policy %q takes, which then changes nothing", o.Effect, o.Name)
	}
}

// wider reports whether a takes everything that b takes.
func wider(a, b *Policy) bool {
	return widerSet(a.From, b.From) && widerSet(a.To, b.To) && widerList(a.Projects, b.Projects) && widerTypes(a.Types, b.Types)
}

func widerSet(a, b map[StampID]bool) bool {
	if a == nil {
		return true
	}
	for id := range b {
		if !a[id] {
			return false
		}
	}
	return b != nil
}

func widerList(a, b []string) bool {
	if len(a) == 0 {
		return true
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			return false
		}
	}
	return len(b) > 0
}

func widerTypes(a, b []Pattern) bool {
	if len(a) == 0 {
		return true
	}
	for _, t := range b {
		if !slices.ContainsFunc(a, func(p Pattern) bool { return p.Covers(t) }) {
			return false
		}
	}
	return len(b) > 0
}
