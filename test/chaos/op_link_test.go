package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringway/ringway/topology"
)

// linkOperations are what networks do.
var linkOperations = []operation{
	{6, 300 * time.Millisecond, 4 * time.Second, func(r *rand.Rand) trouble { return cut{pick(r, stamps)} }},
	{4, 500 * time.Millisecond, 5 * time.Second, func(r *rand.Rand) trouble {
		return slow{pick(r, stamps), time.Duration(5+r.IntN(120)) * time.Millisecond}
	}},
	{3, time.Second, 5 * time.Second, func(r *rand.Rand) trouble { return silent{pick(r, stamps)} }},
}

func pick(r *rand.Rand, list []string) string { return list[r.IntN(len(list))] }

// cut takes a stamp off the network.
type cut struct{ stamp string }

func (c cut) String() string   { return "cut " + c.stamp }
func (c cut) claims() []string { return []string{"link:" + c.stamp} }
func (c cut) begin(s *site)    { s.fed.Cut(topology.StampID(c.stamp)) }
func (c cut) end(s *site)      { s.fed.Heal(topology.StampID(c.stamp)) }

// slow delays what goes over a stamp's links, in each direction.
type slow struct {
	stamp string
	by    time.Duration
}

func (c slow) String() string   { return fmt.Sprintf("delay %s by %s", c.stamp, c.by) }
func (c slow) claims() []string { return []string{"link:" + c.stamp} }
func (c slow) begin(s *site)    { s.fed.Delay(topology.StampID(c.stamp), c.by) }
func (c slow) end(s *site)      { s.fed.Heal(topology.StampID(c.stamp)) }

// silent lets nothing through while connections stay open.
type silent struct{ stamp string }

func (c silent) String() string   { return "black-hole " + c.stamp }
func (c silent) claims() []string { return []string{"link:" + c.stamp} }
func (c silent) begin(s *site)    { s.fed.BlackHole(topology.StampID(c.stamp)) }
func (c silent) end(s *site)      { s.fed.Heal(topology.StampID(c.stamp)) }
