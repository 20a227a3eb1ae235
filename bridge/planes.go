package bridge

import (
	"strings"

	"github.com/ringway/ringway/topology"
)

// Planes is what is known, at one time, of the planes of stamps. It is immutable
// and safe for concurrent use; nil knows nothing.
type Planes struct {
	by map[topology.StampID]subscribed
}

// subscribed is what the planes of a stamp subscribe to.
type subscribed struct {
	types    map[topology.Pattern][]Subscribed // by type of event
	patterns []Subscribed                      // with wildcards
}

// Subscribed is what a live plane subscribes to. An empty list is all.
type Subscribed struct {
	Plane                      string
	Event                      topology.Pattern
	Projects, Stages, Services []string
}

// NewPlanes returns a Planes that knows of the stamps in by, and of no other.
func NewPlanes(by map[topology.StampID][]Subscribed) *Planes {
	p := &Planes{map[topology.StampID]subscribed{}}
	for stamp, all := range by {
		is := subscribed{types: map[topology.Pattern][]Subscribed{}}
		for _, s := range all {
			if strings.ContainsAny(string(s.Event), "*>") {
				is.patterns = append(is.patterns, s)
			} else {
				is.types[s.Event] = append(is.types[s.Event], s)
			}
		}
		p.by[stamp] = is
	}
	return p
}

// Takes reports whether a plane of a stamp subscribes to an event, if that is
// known.
func (p *Planes) Takes(stamp topology.StampID, e *Event) (takes, known bool) {
	if p == nil {
		return false, false
	}
	is, known := p.by[stamp]
	for _, s := range is.types[topology.Pattern(e.Type)] {
		if s.lets(e) {
			return true, true
		}
	}
	for _, s := range is.patterns {
		if s.Event.Match(topology.Subject(e.Type)) && s.lets(e) {
			return true, true
		}
	}
	return false, known
}

func (s Subscribed) lets(e *Event) bool {
	return lets(s.Projects, e.Project) && lets(s.Stages, e.Stage) && lets(s.Services, e.Service)
}

// lets reports whether a list of a filter holds name, as Keptn has it: lists are
// joined and split at commas, and no list is all.
func lets(list []string, name string) bool {
	joined := strings.Join(list, ",")
	if joined == "" {
		return true
	}
	for part := range strings.SplitSeq(joined, ",") {
		if part == name {
			return true
		}
	}
	return false
}

// Knowing returns a Router like r that knows of planes: where any stamp will do,
// those that have a plane for an event come first, and those that have none
// last; and it says where there is none.
func (r *Router) Knowing(planes *Planes) *Router {
	out := *r
	out.planes = planes
	return &out
}

// Nobody reports whether it is known that no plane of a stamp will take an event.
func (r *Router) Nobody(stamp topology.StampID, e *Event) bool {
	takes, known := r.planes.Takes(stamp, e)
	return known && !takes
}

// preferred orders stamps of which any will do, the nearest first, by what is
// known of their planes.
func (r *Router) preferred(e *Event, ids []topology.StampID) []topology.StampID {
	if r.planes == nil {
		return ids
	}
	var have, may, not []topology.StampID // in this order
	for _, id := range ids {
		switch takes, known := r.planes.Takes(id, e); {
		case takes:
			have = append(have, id)
		case !known:
			may = append(may, id)
		default:
			not = append(not, id)
		}
	}
	return append(append(have, may...), not...)
}

// explainPlanes adds the stamps of d that have no plane for e, as far as that is
// known.
func (r *Router) explainPlanes(d Decision, e *Event) Decision {
	for _, list := range [][]Target{d.Targets, d.Candidates} {
		for _, t := range list {
			if r.Nobody(t.Stamp, e) {
				d.Tried = append(d.Tried, "stamp "+string(t.Stamp)+": no plane there will take this")
			}
		}
	}
	return d
}
