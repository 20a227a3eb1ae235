package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringway/ringway/topology"
)

// processOperations stop gateways in order and start them again. What kill -9
// does is shown with separate processes: TestCrashPoints.
var processOperations = []operation{
	{4, 100 * time.Millisecond, 3 * time.Second, func(r *rand.Rand) trouble { return stop{pick(r, stoppable())} }},
	{1, time.Millisecond, 2 * time.Second, func(*rand.Rand) trouble { return roll{} }},
	{4, 200 * time.Millisecond, 3 * time.Second, func(r *rand.Rand) trouble { return oneOfThree{r.IntN(3)} }},
}

// stoppable are the stamps that are stopped as a whole.
func stoppable() []string {
	return slices.DeleteFunc(slices.Clone(stamps), func(s string) bool { return s == tripled && !asksStopOfReplicas })
}

// stop ends a stamp's gateway and starts it again.
type stop struct{ stamp string }

func (c stop) String() string   { return "stop " + c.stamp }
func (c stop) claims() []string { return []string{"process:" + c.stamp} }
func (c stop) begin(s *site)    { s.fed.Stop(topology.StampID(c.stamp)) }
func (c stop) end(s *site)      { s.fed.Restart(topology.StampID(c.stamp)) }

// roll stops and starts every stamp, one after the other, as an update does.
type roll struct{}

func (roll) String() string { return "rolling update" }

func (roll) claims() []string {
	var out []string
	for _, s := range stamps {
		out = append(out, "process:"+s)
	}
	return out
}

func (roll) begin(s *site) {
	for _, name := range stamps {
		if name == tripled {
			for i := range 3 {
				s.fed.StopReplica(tripled, i)
				s.fed.StartReplica(tripled, i)
			}
			continue
		}
		s.fed.Stop(topology.StampID(name))
		s.fed.Restart(topology.StampID(name))
	}
}

func (roll) end(*site) {}

// oneOfThree ends one replica of the stamp that has three, be it active or not,
// and starts it again.
type oneOfThree struct{ i int }

func (c oneOfThree) String() string { return fmt.Sprintf("stop replica %d of %s", c.i, tripled) }

func (c oneOfThree) claims() []string { return []string{"process:" + tripled} }
func (c oneOfThree) begin(s *site)    { s.fed.StopReplica(topology.StampID(tripled), c.i) }
func (c oneOfThree) end(s *site)      { s.fed.StartReplica(topology.StampID(tripled), c.i) }
