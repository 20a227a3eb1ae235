package chaos_test

import (
	"math/rand/v2"
	"time"
)

// planeOperations take the planes of a stamp away: for a moment, as when they
// are updated, or for long.
var planeOperations = []operation{
	{3, 50 * time.Millisecond, 300 * time.Millisecond, func(r *rand.Rand) trouble { return noPlanes{pick(r, executions)} }},
	{1, 2 * time.Second, 6 * time.Second, func(r *rand.Rand) trouble { return noPlanes{pick(r, executions)} }},
}

// noPlanes stops a stamp's planes in order and starts them again.
type noPlanes struct{ stamp string }

func (c noPlanes) String() string   { return "planes of " + c.stamp + " away" }
func (c noPlanes) claims() []string { return []string{"plane:" + c.stamp} }

func (c noPlanes) begin(s *site) {
	for _, p := range s.planes[c.stamp] {
		p.stop()
	}
}

func (c noPlanes) end(s *site) {
	for _, p := range s.planes[c.stamp] {
		p.start()
	}
}
