package topology

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLeavesSpreadOverHubs: leaves that name no hub do not all dial the same, and
// prefer those of their geo.
func TestLeavesSpreadOverHubs(t *testing.T) {
	var hubs []*Stamp
	for i := range 6 {
		hubs = append(hubs, &Stamp{ID: StampID(fmt.Sprintf("hub-%d", i)), Geo: Geo(fmt.Sprintf("g%d", i%2))})
	}
	first := map[StampID]int{}
	for i := range 300 {
		via := nearestHubs(&Stamp{ID: StampID(fmt.Sprintf("leaf-%d", i)), Geo: "g1"}, hubs)
		require.Len(t, via, 6)
		require.Subset(t, []StampID{"hub-1", "hub-3", "hub-5"}, via[:3])
		first[via[0]]++
	}
	for h, n := range first {
		require.InDelta(t, 100, n, 30, h)
	}
	require.Len(t, first, 3)
}
