package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// TestWhatRuns: a stamp is drained when everybody who knows says that nothing
// runs there.
func TestWhatRuns(t *testing.T) {
	is := func(change func(hub, x *gateway.StampReport)) *gateway.Federation {
		hub := gateway.StampReport{Stamp: "hub", Control: true, Status: &gateway.Status{}}
		x := gateway.StampReport{Stamp: "x", Waiting: 3, Status: &gateway.Status{
			Hold: &gateway.HoldStatus{Holding: bridge.Holding{Mode: bridge.VerbDrain}, Held: 3},
		}}
		change(&hub, &x)
		return &gateway.Federation{Stamps: []gateway.StampReport{hub, x}}
	}
	left, held := runs(is(func(_, _ *gateway.StampReport) {}), "x")
	require.Empty(t, left)
	require.Equal(t, 3, held)
	for why, change := range map[string]func(hub, x *gateway.StampReport){
		"2 tasks run in it":                  func(hub, _ *gateway.StampReport) { hub.Status.Running = map[topology.StampID]int{"x": 2, "y": 1} },
		"stamp hub does not say which tasks": func(hub, _ *gateway.StampReport) { hub.Status = nil },
		"it does not answer: gone":           func(_, x *gateway.StampReport) { x.Status, x.Err = nil, "gone" },
		"it was resumed":                     func(_, x *gateway.StampReport) { x.Status.Hold = nil },
		"1 events wait in it":                func(_, x *gateway.StampReport) { x.Waiting = 4 },
		"5 events of it wait to be sent":     func(_, x *gateway.StampReport) { x.Status.Targets = []gateway.TargetStatus{{Stamp: "hub", Held: 5}} },
	} {
		left, _ := runs(is(change), "x")
		require.Contains(t, left, why)
	}
}
