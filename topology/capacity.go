package topology

// A Size is how many stamps of each kind a federation has. Leaves are spread
// evenly over the hubs, and every hub has the same number of replicas.
type Size struct {
	Hubs, Leaves int
	Replicas     int // of each hub; 0 is 1
}

// A Use is what gateways hold and do when nothing happens.
type Use struct {
	Memory      float64 // MB
	Descriptors float64
	Goroutines  float64
}

// What stamps cost, fitted to the runs in testdata/capacity by least squares of
// the relative error; docs/scale.md says how, and where the model ends. pair is
// for each hub and each other hub, both ends counted.
var (
	useOfHub  = Use{Memory: 4.11, Descriptors: 16.7, Goroutines: 94.8}
	useOfPair = Use{Memory: 0.145, Descriptors: 1.977, Goroutines: 3.971}
	useOfLeaf = Use{Memory: 3.51, Descriptors: 11.5, Goroutines: 82.7}
)

// memoryPerKnown is what each gateway holds for each stamp of the federation, in
// MB: the topology, and where it may send to.
const memoryPerKnown = 0.00984

// idlePerPeer is how many messages a second pass the local server of a stamp,
// in and out, for each stamp that it exchanges events with: the canary, whose
// default interval this is for.
const idlePerPeer = 1.62

// What one process holds beyond what all processes of a run share: measured by
// `make bench ONLY=Idle` (docs/benchmarks.md), a hub of 49 leaves being 55 MB.
const (
	processMemory = 52.0 // MB
	leafAtHub     = 0.1  // MB for each leaf that a hub serves, at most
	processFiles  = 16.0
)

// Total returns the use of a whole federation of one replica a stamp in one
// process, as test/load runs it.
func (s Size) Total() Use {
	h, l := float64(s.Hubs), float64(s.Leaves)
	pairs := h * (h - 1)
	sum := func(hub, pair, leaf float64) float64 { return h*hub + pairs*pair + l*leaf }
	return Use{
		Memory:      (h+l)*(h+l)*memoryPerKnown + sum(useOfHub.Memory, useOfPair.Memory, useOfLeaf.Memory),
		Descriptors: sum(useOfHub.Descriptors, useOfPair.Descriptors, useOfLeaf.Descriptors),
		Goroutines:  sum(useOfHub.Goroutines, useOfPair.Goroutines, useOfLeaf.Goroutines),
	}
}

// MeshConnections returns how many connections the hubs hold among each other:
// every server dials every other hub once.
func (s Size) MeshConnections() int { return max(s.Replicas, 1) * s.Hubs * (s.Hubs - 1) }

// IdlePerSecond returns how many messages a second pass the local server of a
// stamp that exchanges events with so many others.
func IdlePerSecond(peers int) float64 { return idlePerPeer * float64(peers) }

// OneHub returns the use of one process of a hub among so many hubs, while it
// serves leaves, in a federation of so many stamps; goroutines are left out.
func OneHub(hubs, leaves, stamps int) Use {
	others := float64(hubs - 1)
	return Use{
		Memory:      processMemory + others*useOfPair.Memory + float64(leaves)*leafAtHub + float64(stamps)*memoryPerKnown,
		Descriptors: processFiles + 2*others + float64(leaves),
	}
}
