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
	What    string    // the change, as "add leaf stamp eu-2"
	Live    bool      // takes effect while everything runs
	Link    []StampID // hubs whose link server restarts: about a second without links, no client notices
	Process []StampID // stamps whose process must be restarted
	CutsOff []StampID // stamps that lose their way to the others meanwhile, or for good
	Issues  []string  // identities to issue: `ringway auth issue --stamp …`
	Revokes []string  // identities to revoke
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
// in which it should be done: additions, changes, removals.
func Plan(from, to *Mesh) []Step {
	p := &planner{from: from, to: to}
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
	p.steps = append(p.steps, s)
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
			p.step(Step{CutsOff: []StampID{is.ID}}, "change the hubs or transport of leaf %s", is.ID)
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
	compare(p, "control plane", p.from.ControlPlanes, p.to.ControlPlanes, func(c *ControlPlane) string { return c.Name })
	compare(p, "rule", p.from.Stages, p.to.Stages, func(r *StageRule) string { return r.Name })
	compare(p, "route", p.from.Routes, p.to.Routes, func(r *Route) string { return r.Name })
	compare(p, "policy", p.from.Policies, p.to.Policies, func(x *Policy) string { return x.Name })
	compare(p, "target", p.from.Targets, p.to.Targets, func(t *Target) string { return string(t.Stamp) + "/" + t.Name })
	if !slices.Equal(p.from.Rings, p.to.Rings) || !slices.Equal(p.from.Geos, p.to.Geos) {
		p.step(Step{}, "change the lists of geos or rings")
	}
}

func compare[T any](p *planner, what string, from, to []*T, name func(*T) string) {
	was := map[string]*T{}
	for _, f := range from {
		was[name(f)] = f
	}
	for _, t := range to {
		f := was[name(t)]
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
