package bridge

import "github.com/ringway/ringway/topology"

// Knows reports whether the topology has a stamp.
func (r *Router) Knows(id topology.StampID) bool { return r.view.Stamp(id) != nil }
