package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// noticed is within what time a link that is silent is down.
const noticed = 15 * time.Second

// silences are the ways in which a connection that stays open carries nothing.
var silences = []struct {
	name string
	on   func(*fed.Fed, topology.StampID)
}{
	{"both", (*fed.Fed).BlackHole},
	{"upstream", func(f *fed.Fed, s topology.StampID) { f.Mute(s, "upstream") }},
	{"downstream", func(f *fed.Fed, s topology.StampID) { f.Mute(s, "downstream") }},
}

// sequence is an event from a leaf to its control plane that answers nothing.
const sequence = "sh.keptn.event.far.delivery.triggered"

// exchange publishes n events there and n answers back, and returns what asks
// that each arrived once, in order.
func exchange(t *testing.T, f *fed.Fed, first, n int, there, back *fed.Tap) (arrived func()) {
	t.Helper()
	var want [2][]string
	for i := first; i < first+n; i++ {
		a, b := event(triggered, fmt.Sprint(i), "far", "k"), event(sequence, fmt.Sprint(i), "far", "k")
		f.Publish("control", triggered, a)
		f.Publish("far", sequence, b)
		want[0], want[1] = append(want[0], string(a)), append(want[1], string(b))
	}
	return func() {
		t.Helper()
		require.Equal(t, want[0], there.Bodies(n))
		require.Equal(t, want[1], back.Bodies(n))
	}
}

// TestSilentHubIsLeft: the hub of a leaf goes silent, and connections to it
// stay open. The leaf goes to its other hub, in both directions events arrive,
// and when the hub is heard again none comes twice.
func TestSilentHubIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the servers' own pings")
	}
	if beside(t) {
		return
	}
	f := ordered(t, chain)
	moved(t, f, "far", "one")
	// Hubs tell each other where others are, and one may dial another where a third
	// does, which is a line of its own here and silent with it. That is noticed, and all
	// addresses are tried in turn, but each for 5 s.
	there, back := f.Tap("far", triggered, "").Patient(4*fed.Patience), f.Tap("control", sequence, "").Patient(4*fed.Patience)
	const n = 5
	exchange(t, f, 0, n, there, back)()
	hub, other := topology.StampID("one"), topology.StampID("two")
	for i, silence := range silences {
		silence.on(f, hub)
		start := time.Now()
		arrived := exchange(t, f, (3*i+1)*n, n, there, back)
		down := gone(t, f, "control", hub)
		moved(t, f, "far", other)
		left := time.Since(start)
		arrived()
		t.Logf("%s: the other hub sees it down after %s, the leaf has left after %s, all there after %s", silence.name, down(), left, time.Since(start))
		require.Less(t, left, noticed)
		require.Less(t, down(), noticed)
		exchange(t, f, (3*i+2)*n, n, there, back)()
		f.Heal(hub)
		f.Linked()
		exchange(t, f, (3*i+3)*n, n, there, back)()
		hub, other = other, hub
	}
	mark(t, f, there, "far")
}

// gone watches until a stamp sees its link to another down; the function it
// returns waits for that and says after how long it was.
func gone(t *testing.T, f *fed.Fed, at, peer topology.StampID) func() time.Duration {
	t.Helper()
	start := time.Now()
	took := make(chan time.Duration, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			for _, l := range f.Status(at).Links {
				if l.Peer == string(peer) && !l.Up || time.Since(start) > 2*noticed {
					took <- time.Since(start)
					return
				}
			}
		}
	}()
	var d time.Duration
	return func() time.Duration {
		if d == 0 {
			d = <-took
		}
		return d
	}
}

// TestSilentGatewayIsNoticed: two hubs without another way. The link is down in
// time, the status says so on both sides, and after the heal everything arrives
// once.
func TestSilentGatewayIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the servers' own pings")
	}
	if beside(t) {
		return
	}
	f := fed.New(t, strings.Replace(world, "routes:", "  - {name: solo, ring: prod, stamps: [hub]}\nroutes:", 1), often)
	there, back := f.Tap("hub", triggered, ""), f.Tap("control", sequence, "")
	var want [2][]string
	tell := func() {
		for range 10 {
			i := len(want[0])
			a, b := event(triggered, fmt.Sprint(i), "solo", "k"), event(sequence, fmt.Sprint(i), "solo", "k")
			f.Publish("control", triggered, a)
			f.Publish("hub", sequence, b)
			want[0], want[1] = append(want[0], string(a)), append(want[1], string(b))
		}
	}
	peer(t, f, "control", "hub", func(p gateway.PeerStatus) bool { return !p.Last.IsZero() })
	for _, silence := range silences {
		silence.on(f, "hub")
		downThere, downHere := gone(t, f, "control", "hub"), gone(t, f, "hub", "control")
		tell()
		t.Logf("%s: down after %s and %s", silence.name, downThere(), downHere())
		require.Less(t, downThere(), noticed)
		require.Less(t, downHere(), noticed)
		require.Equal(t, gateway.ConditionDegraded, f.Status("control").Condition)
		f.Heal("hub")
		tell()
		f.Linked()
	}
	require.Equal(t, want[0], there.Bodies(len(want[0])))
	require.Equal(t, want[1], back.Bodies(len(want[1])))
	mark(t, f, there, "solo")
}
