package chaos_test

import (
	"math/rand/v2"
	"time"

	"github.com/ringway/ringway/topology"
)

// topologyOperations replace the topology file, as a platform team does.
var topologyOperations = []operation{
	change("stage moved goes to d2", func(s *shape) *bool { return &s.moved }),
	change("labels of d1 and d2 swapped", func(s *shape) *bool { return &s.labelled }),
	change("policy keeps tests from p1", func(s *shape) *bool { return &s.denied }),
	change("route audit", func(s *shape) *bool { return &s.route }),
	{2, 500 * time.Millisecond, 4 * time.Second, func(*rand.Rand) trouble { return noLeaf{} }},
	{1, time.Second, 4 * time.Second, func(*rand.Rand) trouble { return noHub{} }},
}

func change(what string, field func(*shape) *bool) operation {
	return operation{2, 300 * time.Millisecond, 4 * time.Second, func(*rand.Rand) trouble { return reshape{what, field} }}
}

// reshape changes one thing in the topology and changes it back.
type reshape struct {
	what  string
	field func(*shape) *bool
}

func (c reshape) String() string   { return "topology: " + c.what }
func (c reshape) claims() []string { return []string{"topology:" + c.what} }
func (c reshape) begin(s *site)    { s.reshape(func(sh *shape) { *c.field(sh) = true }) }
func (c reshape) end(s *site)      { s.reshape(func(sh *shape) { *c.field(sh) = false }) }

// noLeaf takes stamp p2 out of the federation, and lets it in again.
type noLeaf struct{}

func (noLeaf) String() string   { return "topology: leaf p2 leaves" }
func (noLeaf) claims() []string { return []string{"process:p2", "topology:p2"} }

func (noLeaf) begin(s *site) {
	s.fed.Stop(topology.StampID("p2"))
	s.reshape(func(sh *shape) { sh.noLeaf = true })
}

func (noLeaf) end(s *site) {
	s.reshape(func(sh *shape) { sh.noLeaf = false })
	s.fed.Restart(topology.StampID("p2"))
}

// noHub takes hub spare out of the federation, and lets it in again. The link
// servers of all other hubs restart each time.
type noHub struct{}

func (noHub) String() string   { return "topology: hub spare leaves" }
func (noHub) claims() []string { return []string{"process:" + spare, "topology:hub"} }

func (noHub) begin(s *site) {
	s.fed.Stop(topology.StampID(spare))
	s.reshape(func(sh *shape) { sh.noHub = true })
}

func (noHub) end(s *site) {
	s.reshape(func(sh *shape) { sh.noHub = false })
	s.fed.Restart(topology.StampID(spare))
}
