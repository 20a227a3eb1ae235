package plane

import (
	"slices"
)

// Types returns, in order, the types and patterns of events that planes of the
// federation subscribe to which are not gone, as far as is known here. However old
// what a stamp has said is, it counts: a plane of a stamp that is cut off is there
// when the stamp comes back. It may be called from any goroutine.
func (r *Registry) Types() []string { return Types(r.Planes()) }

// Types returns what the planes of all subscribe to that are not gone.
func Types(all []Copy) []string {
	var out []string
	for _, c := range all {
		for _, p := range c.Planes {
			if p.State == Gone {
				continue
			}
			for _, s := range p.Subscriptions {
				out = append(out, s.Event)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
