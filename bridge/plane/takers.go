package plane

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// oldCopy is after what time what a stamp said of its planes is nothing to go by.
const oldCopy = 5 * time.Minute

// Takers returns what is known of the planes that are alive. It is the same
// until something changes.
func (r *Registry) Takers() *bridge.Planes { return r.takers.Load() }

// Takers returns what all say of the planes that are alive.
func Takers(all []Copy) *bridge.Planes {
	by := map[topology.StampID][]bridge.Subscribed{}
	for _, c := range all {
		subs := []bridge.Subscribed{}
		for _, p := range c.Planes {
			if p.State == Gone {
				continue
			}
			for _, s := range p.Subscriptions {
				f := s.Filter
				subs = append(subs, bridge.Subscribed{
					Plane: p.Name, Event: topology.Pattern(s.Event), Projects: f.Projects, Stages: f.Stages, Services: f.Services,
				})
			}
		}
		by[c.Stamp] = subs
	}
	return bridge.NewPlanes(by)
}

// weigh counts anew what Takers returns. One goroutine does.
func (r *Registry) weigh() {
	view := r.cfg.View()
	var text strings.Builder
	var sure []Copy
	for _, c := range r.Planes() {
		s := view.Stamp(c.Stamp)
		// Clients of a NATS that was there before are not all known.
		if s == nil || s.Clients.Mode == topology.ClientsExternal || time.Since(c.At) > oldCopy {
			continue
		}
		sure = append(sure, c)
		_, _ = fmt.Fprint(&text, "|", c.Stamp) // a Builder never fails
		for _, p := range c.Planes {
			_, _ = fmt.Fprint(&text, " ", p.ID, p.State == Gone, p.Subscriptions) // as above
		}
	}
	if text.String() != r.weighed {
		r.weighed = text.String()
		r.takers.Store(Takers(sure))
	}
}
