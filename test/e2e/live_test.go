package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// grown is world with another hub and a leaf of it, and a stage for the leaf.
func grown() string {
	return strings.NewReplacer("controlPlanes", `  - {name: third, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: "third.example:7222", leafnode: "third.example:7422"}}}
  - {name: late, geo: us, ring: prod, link: {via: [third]}}
controlPlanes`, "routes:", "  - {name: later, ring: prod, stamps: [late]}\nroutes:").Replace(world)
}

// in waits until a stamp has a topology in force of which nothing is pending.
func in(t *testing.T, f *fed.Fed, stamp topology.StampID, hash string) {
	t.Helper()
	require.Eventually(t, func() bool {
		s := f.Status(stamp)
		return s.Topology.Hash == hash && len(s.Topology.Pending) == 0
	}, fed.Patience, 5*time.Millisecond, "%s", &stamp)
}

func hashOf(t *testing.T, text string) string {
	t.Helper()
	m, err := topology.Parse("topology.yaml", []byte(text))
	require.NoError(t, err)
	return m.Hash
}

// A pulse of events is published in control for stage far while a test
// changes things, and watched in wss.
type pulse struct {
	f    *fed.Fed
	tap  *fed.Tap
	stop chan struct{}
	wg   sync.WaitGroup
	sent int
}

const streamContexts = 5

func publishing(t *testing.T, f *fed.Fed, every time.Duration) *pulse {
	t.Helper()
	s := &pulse{f: f, tap: f.Tap("wss", triggered, ""), stop: make(chan struct{})}
	nc := f.Client("control")
	tick := time.NewTicker(every)
	s.wg.Go(func() {
		defer tick.Stop()
		for ; ; s.sent++ {
			if nc.Publish(triggered, event(triggered, fmt.Sprint(s.sent), "far", fmt.Sprint(s.sent%streamContexts))) != nil {
				return
			}
			select {
			case <-s.stop:
				s.sent++
				return
			case <-tick.C:
			}
		}
	})
	return s
}

// balanced asks that every event arrived once and in order.
func (s *pulse) balanced(t *testing.T) {
	t.Helper()
	close(s.stop)
	s.wg.Wait()
	require.Greater(t, s.sent, streamContexts)
	requireInOrder(t, s.tap.Bodies(s.sent), s.sent, streamContexts)
	mark(t, s.f, s.tap, "far")
}

// TestHubsAndLeavesComeAndGoLive: a hub and its leaf are added and removed.
// The link servers of the other hubs restart by themselves, one after the
// other; no client notices, and no event is lost or comes twice.
func TestHubsAndLeavesComeAndGoLive(t *testing.T) {
	if beside(t) {
		return
	}
	big := grown()
	f := fed.Prepare(t, big, often)
	require.NoError(t, f.SetTopology([]byte(world)))
	for _, id := range []topology.StampID{"control", "hub", "tls", "wss"} {
		f.Restart(id)
	}
	f.Linked()
	lost := make(chan error, 100)
	for _, id := range []topology.StampID{"control", "hub", "tls", "wss"} {
		nc, err := nats.Connect(f.Stamp(id).URL(), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err }))
		require.NoError(t, err)
		defer func() { nc.SetDisconnectErrHandler(nil); nc.Close() }()
	}
	s := publishing(t, f, 5*time.Millisecond)

	require.NoError(t, f.SetTopology([]byte(big)))
	require.Eventually(t, func() bool {
		st := f.Status("hub").Topology
		return !st.Relink.IsZero() && strings.Contains(strings.Join(st.Pending, ""), "add hub stamp third in geo us, ring prod: waits for the link server")
	}, fed.Patience, time.Millisecond, "the second hub waits for its turn")
	f.Restart("third")
	f.Restart("late")
	for _, id := range []topology.StampID{"control", "hub", "tls", "wss"} {
		in(t, f, id, hashOf(t, big))
	}
	f.Linked()
	tap := f.Tap("late", triggered, "")
	body := event(triggered, "first", "later", "k")
	f.Publish("control", triggered, body)
	require.Equal(t, string(body), string(tap.Next().Data))

	// What is held for a stamp that is removed becomes dead letters.
	f.Stop("late")
	orphan := event(triggered, "orphan", "later", "k")
	f.Publish("control", triggered, orphan)
	require.Eventually(t, func() bool {
		for _, target := range f.Status("control").Targets {
			if target.Stamp == "late" && target.Held == 1 {
				return true
			}
		}
		return false
	}, fed.Patience, 5*time.Millisecond)
	require.NoError(t, f.SetTopology([]byte(world)))
	f.Stop("third")
	for _, id := range []topology.StampID{"control", "hub", "tls", "wss"} {
		in(t, f, id, hashOf(t, world))
	}
	url := f.Stamp("control").Gateway().AdminURL() + "/events/dlq"
	require.Eventually(t, func() bool { return strings.Contains(get(t, http.MethodGet, url), `"unknown-stamp"`) }, fed.Patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		st := f.Status("control")
		return len(st.Causes) == 0 && len(st.Targets) == 1 && len(st.Links) == 4
	}, fed.Patience, 5*time.Millisecond, "nothing is left of it")
	s.balanced(t)
	require.Empty(t, lost, "no client noticed")
}
