package topology

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Step is one difference between two topologies and what it takes to put it
// in force.
type Step struct {
	What    string    `json:"what"`              // the change, as "add leaf stamp eu-2"
	Live    bool      `json:"live"`              // takes effect while everything runs
	Link    []StampID `json:"link,omitempty"`    // hubs whose link server restarts: about a second without links, no client notices
	Process []StampID `json:"process,omitempty"` // stamps whose process must be restarted
	CutsOff []StampID `json:"cutsOff,omitempty"` // stamps that lose their way to the others meanwhile, or for good
	Issues  []string  `json:"issues,omitempty"`  // identities to issue: `ringway auth issue --stamp …`
	Revokes []string  `json:"revokes,omitempty"` // identities to revoke
}

// Restarts reports whether the step waits for a restart in stamp id.
func (s Step) Restarts(id StampID) bool {
	return slices.Contains(s.Link, id) || slices.Contains(s.Process, id)
}

// String returns the change alone.
func (s Step) String() string { return s.What }

// Describe returns the step in full, on several lines.
func (s Step) Describe() string {
	var b strings.Builder
	mark := "live   "
	if !s.Live {
		mark = "restart"
	}
	fmt.Fprintf(&b, "%s  %s\n", mark, s.What)
	for _, l := range []struct {
		what string
		ids  []StampID
	}{{"restarts the link server of", s.Link}, {"restarts the process of", s.Process}, {"cuts off", s.CutsOff}} {
		if len(l.ids) > 0 {
			fmt.Fprintf(&b, "         %s %s\n", l.what, joinIDs(l.ids))
		}
	}
	for _, i := range s.Issues {
		fmt.Fprintf(&b, "         issues the identity of %s\n", i)
	}
	for _, i := range s.Revokes {
		fmt.Fprintf(&b, "         revokes the identity of %s\n", i)
	}
	return b.String()
}

func joinIDs(ids []StampID) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return strings.Join(out, ", ")
}

// Plan returns what it takes to go from one topology to another, in the order
// in which it should be done: additions, changes, removals. It is empty if and
// only if both have the same Hash.
func Plan(from, to *Mesh) []Step {
	p := &planner{from: from, to: to}
	p.renamed()
	for _, s := range to.Stamps {
		if from.Stamp(s.ID) == nil {
			p.added(s)
		}
	}
	for _, s := range to.Stamps {
		if was := from.Stamp(s.ID); was != nil {
			p.changed(was, s)
		}
	}
	p.rules()
	for _, s := range from.Stamps {
		if to.Stamp(s.ID) == nil {
			p.removed(s)
		}
	}
	return p.steps
}

type planner struct {
	from, to *Mesh
	steps    []Step
}

func (p *planner) step(s Step, format string, args ...any) {
	s.What = fmt.Sprintf(format, args...)
	s.Live = len(s.Link)+len(s.Process) == 0
	s.CutsOff = p.cutOff(s)
	p.steps = append(p.steps, s)
}

// cutOff adds to those whom a step cuts off anyway the stamps whose process or
// links it restarts, and the leaves that have no other hub meanwhile. They are
// in order of the file.
func (p *planner) cutOff(s Step) []StampID {
	down := slices.Concat(s.Link, s.Process)
	isDown := func(id StampID) bool { return slices.Contains(down, id) }
	var out []StampID
	for _, m := range []*Mesh{p.to, p.from} {
		for _, x := range m.Stamps {
			l := x.Link
			if was := p.from.Stamp(x.ID); was != nil {
				l = was.Link
			}
			hub := l.Kind == LinkHub && isDown(x.ID)
			stranded := l.Kind == LinkLeaf && len(l.Via) > 0 && p.from.Stamp(x.ID) != nil &&
				!slices.ContainsFunc(l.Via, func(id StampID) bool { return !isDown(id) })
			if (hub || stranded || slices.Contains(s.Process, x.ID) || slices.Contains(s.CutsOff, x.ID)) && !slices.Contains(out, x.ID) {
				out = append(out, x.ID)
			}
		}
	}
	return out
}

// renamed compares the names of the federations. Every identity is made for
// one of them, so a new name is a new federation.
func (p *planner) renamed() {
	if p.from.Name == p.to.Name {
		return
	}
	var s Step
	for _, x := range p.to.Stamps {
		s.Process = append(s.Process, x.ID)
		s.Issues = append(s.Issues, "stamp "+string(x.ID))
	}
	p.step(s, "rename federation %s to %s, which needs a store of identities of its own", p.from.Name, p.to.Name)
}

// otherHubs are the hubs of both topologies but one: those whose gateway
// remotes change with it. NATS cannot change them in a running server.
func (p *planner) otherHubs(id StampID) []StampID {
	var out []StampID
	for _, h := range p.to.Hubs() {
		if was := p.from.Stamp(h.ID); h.ID != id && was != nil && was.Link.Kind == LinkHub {
			out = append(out, h.ID)
		}
	}
	return out
}

func (p *planner) added(s *Stamp) {
	step := Step{Issues: []string{"stamp " + string(s.ID)}}
	if s.Link.Kind == LinkHub {
		step.Link = p.otherHubs(s.ID)
	}
	p.step(step, "add %s stamp %s in geo %s, ring %s", s.Link.Kind, s.ID, s.Geo, s.Ring)
}

func (p *planner) removed(s *Stamp) {
	step := Step{Revokes: []string{"stamp " + string(s.ID)}, CutsOff: []StampID{s.ID}}
	if s.Link.Kind == LinkHub {
		step.Link = p.otherHubs(s.ID)
	}
	p.step(step, "remove %s stamp %s", s.Link.Kind, s.ID)
}

func (p *planner) changed(was, is *Stamp) {
	if was.Link.Kind != is.Link.Kind {
		p.step(Step{
			Process: []StampID{is.ID}, Link: p.otherHubs(is.ID), CutsOff: []StampID{is.ID}, Issues: []string{"stamp " + string(is.ID)},
		}, "make stamp %s a %s", is.ID, is.Link.Kind)
	} else {
		p.link(was, is)
	}
	if was.Geo != is.Geo || was.Ring != is.Ring {
		p.step(Step{}, "move stamp %s from %s/%s to %s/%s", is.ID, was.Geo, was.Ring, is.Geo, is.Ring)
	}
	if !maps.Equal(was.Labels, is.Labels) {
		p.step(Step{}, "change labels of stamp %s", is.ID)
	}
	if was.Control != is.Control || was.Execution != is.Execution {
		p.step(Step{}, "change roles of stamp %s", is.ID)
	}
	if was.Trusted != is.Trusted {
		p.step(Step{}, "change whether stamp %s is trusted as a hub", is.ID)
	}
	if was.Replicas != is.Replicas {
		p.step(Step{Process: []StampID{is.ID}}, "change replicas of stamp %s from %d to %d", is.ID, was.Replicas, is.Replicas)
	}
	if was.Clients.Mode != is.Clients.Mode || was.Clients.URL != is.Clients.URL || was.Clients.Leafnode != is.Clients.Leafnode {
		step := Step{Process: []StampID{is.ID}}
		if was.Clients.Mode != is.Clients.Mode {
			step.Issues = []string{"stamp " + string(is.ID)}
		}
		p.step(step, "change the clients' NATS of stamp %s to %s", is.ID, is.Clients.Mode)
	}
	if !slices.Equal(was.Clients.Sources, is.Clients.Sources) {
		p.step(Step{}, "change from where clients of stamp %s may connect", is.ID)
	}
}

func (p *planner) link(was, is *Stamp) {
	if is.Link.Kind == LinkLeaf {
		if !reflect.DeepEqual(was.Link, is.Link) {
			p.step(Step{CutsOff: []StampID{is.ID}}, "change the hubs, transport or compression of leaf %s", is.ID)
		}
		return
	}
	if was.Link.Advertise.Gateway != is.Link.Advertise.Gateway {
		p.step(Step{
			Link: append(p.otherHubs(is.ID), is.ID), Issues: []string{"stamp " + string(is.ID)},
		}, "change the gateway address of hub %s to %s", is.ID, is.Link.Advertise.Gateway)
	}
	if was.Link.Advertise.Leafnode != is.Link.Advertise.Leafnode || was.Link.Advertise.WebSocket != is.Link.Advertise.WebSocket {
		p.step(Step{Issues: []string{"stamp " + string(is.ID)}}, "change the addresses for leaves of hub %s", is.ID)
	}
}

// rules compares what decides where events go; all of it is live.
func (p *planner) rules() {
	compare(p, "control plane", "control planes", p.from.ControlPlanes, p.to.ControlPlanes, func(c *ControlPlane) string { return c.Name })
	compare(p, "rule", "rules", p.from.Stages, p.to.Stages, func(r *StageRule) string { return r.Name })
	compare(p, "route", "routes", p.from.Routes, p.to.Routes, func(r *Route) string { return r.Name })
	compare(p, "policy", "policies", p.from.Policies, p.to.Policies, func(x *Policy) string { return x.Name })
	compare(p, "target", "targets", p.from.Targets, p.to.Targets, func(t *Target) string { return string(t.Stamp) + "/" + t.Name })
	p.reordered("stamps", texts(idsOf(p.from.Stamps)), texts(idsOf(p.to.Stamps)))
	if !slices.Equal(p.from.Rings, p.to.Rings) || !slices.Equal(p.from.Geos, p.to.Geos) {
		p.step(Step{}, "change the lists of geos or rings")
	}
}

func idsOf(stamps []*Stamp) []StampID {
	out := make([]StampID, len(stamps))
	for i, s := range stamps {
		out[i] = s.ID
	}
	return out
}

// reordered compares the order of what is in both lists. Of the rules of a
// stage the first wins, and of equally near stamps.
func (p *planner) reordered(what string, from, to []string) {
	both := func(list, other []string) []string {
		in := map[string]bool{}
		for _, n := range other {
			in[n] = true
		}
		return slices.DeleteFunc(slices.Clone(list), func(n string) bool { return !in[n] })
	}
	if !slices.Equal(both(from, to), both(to, from)) {
		p.step(Step{}, "change the order of the %s", what)
	}
}

func compare[T any](p *planner, what, plural string, from, to []*T, name func(*T) string) {
	was := map[string]*T{}
	var before, after []string
	for _, f := range from {
		was[name(f)] = f
		before = append(before, name(f))
	}
	for _, t := range to {
		f := was[name(t)]
		after = append(after, name(t))
		delete(was, name(t))
		switch {
		case f == nil:
			p.step(Step{}, "add %s %s", what, name(t))
		case !sameRule(f, t):
			p.step(Step{}, "change %s %s", what, name(t))
		}
	}
	for _, n := range slices.Sorted(maps.Keys(was)) {
		p.step(Step{}, "remove %s %s", what, n)
	}
	p.reordered(plural, before, after)
}

// sameRule compares without the line in the file and compiled forms.
func sameRule[T any](a, b *T) bool {
	x, y := *a, *b
	for _, v := range []any{&x, &y} {
		switch r := v.(type) {
		case *StageRule:
			r.Line = 0
			if r.When != nil {
				r.When = &Expr{Text: r.When.Text}
			}
		case *Route:
			r.Line = 0
		case *Policy:
			r.Line = 0
		}
	}
	return reflect.DeepEqual(x, y)
}
