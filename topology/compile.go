package topology

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/internal/yamlfile"
)

// A compiler turns a Spec into a Mesh and collects what is wrong.
type compiler struct {
	s        *Spec
	m        *Mesh
	at       map[StampID]int       // index of the entry in the file
	rough    bool                  // parts that others refer to could not be read
	rules    map[string]*StageRule // by path
	unsure   map[string]bool       // geo, ring, stamp: names of these may be missing
	problems Problems
	warnings Problems
}

func (c *compiler) bad(path, hint, format string, args ...any) {
	c.problems = append(c.problems, c.s.file.Problem(path, hint, format, args...))
}

func (c *compiler) warn(path, hint, format string, args ...any) {
	c.warnings = append(c.warnings, c.s.file.Problem(path, hint, format, args...))
}

// Compile checks a Spec and makes a Mesh of it. Its error is of type Problems
// and holds every problem; what is only doubtful is in Mesh.Warnings.
func Compile(s *Spec) (*Mesh, error) {
	if s.file == nil {
		s.file = &yamlfile.File{Name: "topology"}
	}
	c := newCompiler(s)
	c.check()
	if len(c.problems) > 0 {
		byPlace(c.problems)
		return nil, c.problems
	}
	byPlace(c.warnings)
	c.m.Warnings = c.warnings
	c.m.Hash = digest(c.m)
	return c.m, nil
}

func newCompiler(s *Spec) *compiler {
	return &compiler{s: s, m: &Mesh{Name: s.Name, stamps: map[StampID]*Stamp{}}, at: map[StampID]int{}, rules: map[string]*StageRule{}}
}

// check completes the Mesh and collects every problem.
func (c *compiler) check() {
	if !c.bounded() {
		return
	}
	c.header()
	c.groups()
	for i := range c.s.Stamps {
		c.stamp(i)
	}
	c.links()
	c.controlPlanes()
	c.stages()
	c.routes()
	c.policies()
	c.targets()
	c.reachability()
	c.size()
}

func byPlace(ps Problems) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// digest is a short fingerprint of what m says, lines of the file left out.
func digest(m *Mesh) string {
	plain := *m
	plain.Warnings = nil
	b, err := json.Marshal(plain)
	if err != nil {
		return "" // every field of a Mesh can be written as JSON
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

func (c *compiler) header() {
	if c.s.APIVersion != APIVersion {
		c.bad("apiVersion", "write "+APIVersion, "%q is not a version this program knows", c.s.APIVersion)
	}
	if c.s.Kind != Kind {
		c.bad("kind", "write "+Kind, "%q is not a kind this program knows", c.s.Kind)
	}
	c.token("name", c.s.Name)
}

const tokenHint = "use letters, digits, - and _, at most 63"

// token checks a name that becomes part of NATS subjects.
func (c *compiler) token(path, name string) bool {
	switch {
	case name == "":
		c.bad(path, "", "is missing")
	case !isToken(name):
		c.bad(path, tokenHint, "%.80q is not a NATS token", name)
	default:
		return true
	}
	return false
}

func (c *compiler) groups() {
	for _, g := range []struct {
		key  string
		list []GroupSpec
		add  func(string)
	}{
		{"geos", c.s.Geos, func(n string) { c.m.Geos = append(c.m.Geos, Geo(n)) }},
		{"rings", c.s.Rings, func(n string) { c.m.Rings = append(c.m.Rings, Ring(n)) }},
	} {
		if len(g.list) == 0 {
			c.bad(g.key, "name at least one", "is missing")
		}
		seen := map[string]bool{}
		for i, e := range g.list {
			path := fmt.Sprintf("%s[%d]", g.key, i)
			if !c.token(path, e.Name) {
				continue
			}
			if seen[e.Name] {
				c.bad(path, "", "%q is there twice", e.Name)
				continue
			}
			seen[e.Name] = true
			g.add(e.Name)
		}
	}
	if len(c.s.Stamps) == 0 {
		c.bad("stamps", "name at least one", "is missing")
	}
}

func (c *compiler) hasGeo(name string) bool   { return slices.Contains(c.m.Geos, Geo(name)) }
func (c *compiler) hasRing(name string) bool  { return slices.Contains(c.m.Rings, Ring(name)) }
func (c *compiler) hasStamp(name string) bool { return c.m.stamps[StampID(name)] != nil }

// known reports a name that nothing is called.
func (c *compiler) known(path, what, name string, has func(string) bool) bool {
	if has(name) {
		return true
	}
	if c.unsure[what] {
		return false
	}
	c.bad(path, "name one that is declared", "there is no %s %q", what, name)
	return false
}

// oneOf checks a word, and returns def for none.
func oneOf[T ~string](c *compiler, path, word string, def T, all ...T) T {
	if word == "" {
		return def
	}
	if !slices.Contains(all, T(word)) {
		c.bad(path, fmt.Sprintf("write one of %v", all), "%q is not known", word)
		return def
	}
	return T(word)
}

func (c *compiler) controlPlanes() {
	names, owned, rest := map[string]bool{}, map[string]string{}, ""
	for i, e := range c.s.ControlPlanes {
		path := fmt.Sprintf("controlPlanes[%d]", i)
		if !c.token(path+".name", e.Name) {
			continue
		}
		if names[e.Name] {
			c.bad(path+".name", "", "%q is there twice", e.Name)
		}
		names[e.Name] = true
		if !c.known(path+".stamp", "stamp", e.Stamp, c.hasStamp) {
			continue
		}
		if !c.m.Stamp(StampID(e.Stamp)).Control {
			c.cross(path+".stamp", "add control to the roles of the stamp", "stamp %q has no role control", e.Stamp)
		}
		for j, p := range e.Projects {
			if by := owned[p]; by != "" {
				c.bad(fmt.Sprintf("%s.projects[%d]", path, j), "give a project one owner", "project %q belongs to %q already", p, by)
			}
			owned[p] = e.Name
		}
		if len(e.Projects) == 0 {
			if rest != "" {
				c.bad(path, "name the projects of one of them", "owns every other project, and so does %q", rest)
			}
			rest = e.Name
		}
		p := &ControlPlane{Name: e.Name, Stamp: StampID(e.Stamp), Projects: e.Projects}
		c.api(path+".api", &e.API, p)
		c.m.ControlPlanes = append(c.m.ControlPlanes, p)
	}
	for i, st := range c.s.Stamps {
		id := StampID(st.Name)
		has := func(p *ControlPlane) bool { return p.Stamp == id }
		if s := c.m.Stamp(id); s != nil && s.Control && !slices.ContainsFunc(c.m.ControlPlanes, has) {
			c.warn(fmt.Sprintf("stamps[%d]", i), "declare one below controlPlanes, or drop the role", "stamp %q has role control, but no control plane runs there", id)
		}
	}
}

func (c *compiler) stages() {
	if len(c.s.Stages) > 0 && len(c.s.ControlPlanes) == 0 {
		c.cross("stages", "declare the control plane below controlPlanes", "no control plane could send their events")
	}
	names, count := map[string]bool{}, map[string]int{}
	for i := range c.s.Stages {
		e := &c.s.Stages[i]
		path := fmt.Sprintf("stages[%d]", i)
		if !c.token(path+".name", e.Name) {
			continue
		}
		r := c.stage(path, e)
		if count[e.Name]++; e.Rule == "" && count[e.Name] > 1 {
			r.Name = fmt.Sprintf("%s#%d", e.Name, count[e.Name])
		}
		if names[r.Name] {
			c.bad(path+".rule", "give the rule a name of its own", "rule %q is there twice", r.Name)
		}
		names[r.Name] = true
		for j := range i {
			if o := &c.s.Stages[j]; o.Name == e.Name && takesAll(o, e) {
				c.bad(path, "put the rule with a condition first", "can never take an event: %s takes all of them before",
					cmp.Or(o.Rule, fmt.Sprintf("stages[%d]", j)))
				break
			}
		}
		c.m.Stages = append(c.m.Stages, r)
		c.rules[path] = r
	}
}

// takesAll reports whether rule a takes every event that rule b of the same
// stage takes.
func takesAll(a, b *StageSpec) bool {
	return (a.When == "" || a.When == b.When) && widerList(a.Projects, b.Projects)
}

// defaultStartWithin is StageRule.StartWithin where the file says nothing. A
// stamp of many may be rolling its planes, which takes some seconds; of
// several that can do the same, the next one is sooner.
var defaultStartWithin = map[Deliver]time.Duration{
	DeliverAll: time.Minute, DeliverAny: 10 * time.Second, DeliverFirst: 10 * time.Second,
}

// stage checks one rule and finds its stamps.
func (c *compiler) stage(path string, e *StageSpec) *StageRule {
	r := &StageRule{
		Name: cmp.Or(e.Rule, e.Name), Stage: e.Name, Projects: e.Projects,
		Deadline: e.Deadline, Line: c.s.file.Line(path),
		Deliver:    oneOf(c, path+".deliver", e.Deliver, DeliverAll, DeliverAll, DeliverAny, DeliverFirst),
		OnDeadline: oneOf(c, path+".onDeadline", e.OnDeadline, DeadlineFail, DeadlineFail, DeadlineIgnore),
	}
	if r.StartWithin = e.StartWithin; r.StartWithin == 0 {
		r.StartWithin = defaultStartWithin[r.Deliver]
	}
	if e.StartWithin < 0 || e.StartWithin > time.Hour {
		c.bad(path+".startWithin", "write at most 1h", "%s is out of range", e.StartWithin)
	}
	if e.Deadline < 0 || e.Deadline > 30*24*time.Hour {
		c.bad(path+".deadline", "write 0 for none, at most 720h", "%s is out of range", e.Deadline)
	}
	if e.When != "" {
		x, err := CompileExpr(e.When)
		if err != nil {
			c.bad(path+".when", "", "%v", err)
		}
		r.When = x
	}
	sel := SelectSpec{Geos: e.Geos, Stamps: e.Stamps, Labels: e.Labels}
	before := len(c.problems)
	if e.Ring == "" {
		c.bad(path+".ring", "name the ring whose stamps get its events", "is missing")
	} else if c.known(path+".ring", "ring", e.Ring, c.hasRing) {
		sel.Rings = []string{e.Ring}
	}
	all := c.selected(path, sel)
	for _, s := range all {
		if s.Execution {
			r.Stamps = append(r.Stamps, s.ID)
		}
	}
	if len(r.Stamps) == 0 && len(c.problems) == before {
		c.cross(path, "check ring, geos, labels and stamps, and the roles of the stamps", "chooses no execution stamp")
	}
	c.owned(path, e.Projects)
	c.order(path, e, r)
	c.atHome(path, r)
	return r
}

// atHome warns of a control plane among the stamps of its own rule. What the
// planes beside it take and answer does not pass through a gateway, so it can be
// neither held nor given to one stamp only.
func (c *compiler) atHome(path string, r *StageRule) {
	if len(r.Stamps) < 2 {
		return
	}
	for _, p := range c.m.ControlPlanes {
		if slices.Contains(r.Stamps, p.Stamp) && (len(r.Projects) == 0 || len(p.Projects) == 0 || overlap(r.Projects, p.Projects)) {
			c.warn(path, "leave it out by stamps, geos or labels, or give it no role execution",
				"chooses stamp %s, where control plane %s runs: the planes there answer beside the gateway, and may end a task before the other stamps have started it", p.Stamp, p.Name)
		}
	}
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// order puts the stamps of deliver: first in the order asked for.
func (c *compiler) order(path string, e *StageSpec, r *StageRule) {
	if r.Deliver != DeliverFirst {
		if len(e.Order) > 0 {
			c.bad(path+".order", "write deliver: first, or drop it", "means nothing with deliver: %s", r.Deliver)
		}
		return
	}
	if len(e.Order) == 0 {
		c.bad(path+".order", "list the stamps, best first", "is missing")
		return
	}
	chosen := r.Stamps
	r.Stamps = nil
	for i, name := range e.Order {
		at := fmt.Sprintf("%s.order[%d]", path, i)
		switch id := StampID(name); {
		case !c.known(at, "stamp", name, c.hasStamp):
		case !slices.Contains(chosen, id):
			c.cross(at, "check ring, geos and labels", "stamp %q is not one that the rule chooses", name)
		case slices.Contains(r.Stamps, id):
			c.bad(at, "", "stamp %q is there twice", name)
		default:
			r.Stamps = append(r.Stamps, id)
		}
	}
}
