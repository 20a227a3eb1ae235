package e2e_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// TestCutStampServesItsOwn: clients of a stamp that is cut off go on, and what
// is for others waits.
func TestCutStampServesItsOwn(t *testing.T) {
	f := fed.New(t, world)
	keptn := f.Tap("control", finished, "")
	f.Publish("control", triggered, event(triggered, "2", "far", "k"))
	f.Cut("wss")
	f.Down("wss")
	own := f.Tap("wss", started, "")
	f.Publish("wss", started, event(started, "1", "far", "k"))
	require.Contains(t, string(own.Next().Data), `"1"`)
	body := event(finished, "2", "far", "k")
	f.Publish("wss", finished, body)
	require.True(t, f.Status("wss").Ready)
	f.Heal("wss")
	require.Equal(t, string(body), string(keptn.Next().Data))
}

// TestOrderHoldsOverACut: events of one context arrive in order, whatever is
// cut in between, and each once.
func TestOrderHoldsOverACut(t *testing.T) {
	f := fed.New(t, world)
	tap := f.Tap("wss", triggered, "")
	const n, contexts = 600, 7
	send := func(from, to int) {
		for i := from; i < to; i++ {
			f.Publish("control", triggered, event(triggered, fmt.Sprint(i), "far", fmt.Sprint(i%contexts)))
		}
	}
	send(0, n/3)
	f.Cut("wss")
	send(n/3, 2*n/3)
	f.Down("wss")
	f.Heal("wss")
	send(2*n/3, n)
	requireInOrder(t, tap.Bodies(n), n, contexts)
	mark(t, f, tap, "far")
}

// requireInOrder asks for ids 0 to n-1, each once, in order for each context.
func requireInOrder(t *testing.T, bodies []string, n, contexts int) {
	t.Helper()
	last := make([]int, contexts)
	for c := range last {
		last[c] = c - contexts
	}
	for _, b := range bodies {
		var e struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(b), &e))
		var id int
		_, err := fmt.Sscan(e.ID, &id)
		require.NoError(t, err)
		require.Equal(t, last[id%contexts]+contexts, id, "context %d", id%contexts)
		last[id%contexts] = id
	}
	require.Len(t, bodies, n)
}

// TestPlaneThatComesBackGetsWhatWaited: nobody subscribes, then somebody does.
func TestPlaneThatComesBackGetsWhatWaited(t *testing.T) {
	f := fed.New(t, world)
	first := f.Tap("tls", triggered, "helm-service")
	f.Publish("control", triggered, event(triggered, "0", "dev", "k"))
	require.Contains(t, string(first.Next().Data), `"0"`)
	first.Close()
	for i := 1; i < 50; i++ {
		f.Publish("control", triggered, event(triggered, fmt.Sprint(i), "dev", "k"))
	}
	require.Eventually(t, func() bool {
		w := f.Status("tls").Waiting
		return len(w) == 1 && w[0].Count == 49
	}, fed.Patience, 5*time.Millisecond)
	again := f.Tap("tls", triggered, "helm-service")
	for i := 1; i < 50; i++ {
		require.Equal(t, string(event(triggered, fmt.Sprint(i), "dev", "k")), string(again.Next().Data))
	}
	mark(t, f, again, "dev")
}

// TestStoppedStampIsCaughtUp: both ends are stopped and started in turn.
func TestStoppedStampIsCaughtUp(t *testing.T) {
	f := fed.New(t, world)
	tap := f.Tap("wss", triggered, "")
	var want []string
	send := func(id string) {
		b := event(triggered, id, "far", "k")
		want = append(want, string(b))
		f.Publish("control", triggered, b)
	}
	send("1")
	require.Equal(t, want[:1], tap.Bodies(1))
	tap.Close()
	f.Stop("wss")
	send("2")
	f.Stop("control")
	f.Restart("control")
	f.Restart("wss")
	send("3")
	fresh := f.Tap("wss", triggered, "")
	require.Equal(t, want[1:], fresh.Bodies(2))
	mark(t, f, fresh, "far")
}

// TestSilentLinkIsNoticed: connections stay open and nothing comes through. The
// link is down within 15 seconds, and what waited arrives after the heal.
func TestSilentLinkIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the servers' own pings")
	}
	if beside(t) {
		return
	}
	f := fed.New(t, world)
	tap := f.Tap("wss", triggered, "")
	f.BlackHole("wss")
	body := event(triggered, "1", "far", "k")
	f.Publish("control", triggered, body)
	f.Down("wss")
	f.Heal("wss")
	require.Equal(t, string(body), string(tap.Next().Data))
	mark(t, f, tap, "far")
}

func TestSlowLinkLosesNothing(t *testing.T) {
	f := fed.New(t, world)
	tap := f.Tap("wss", triggered, "")
	f.Delay("wss", 30*time.Millisecond)
	const n = 200
	for i := range n {
		f.Publish("control", triggered, event(triggered, fmt.Sprint(i), "far", fmt.Sprint(i%50)))
	}
	requireInOrder(t, tap.Bodies(n), n, 50)
}

// TestStopKeepsWhatTheServerTook: a client publishes while its stamp stops, and
// what the server confirmed to have arrives.
func TestStopKeepsWhatTheServerTook(t *testing.T) {
	f := fed.New(t, world)
	tap := f.Tap("hub", triggered, "")
	nc := f.Client("control")
	var taken []string
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; nc.IsConnected(); i++ {
			body := event(triggered, fmt.Sprint(i), "prod", "k")
			if nc.Publish(triggered, body) == nil && nc.FlushTimeout(fed.Patience) == nil {
				taken = append(taken, string(body))
			}
		}
	})
	require.Len(t, tap.Bodies(10), 10)
	f.Stop("control")
	wg.Wait()
	nc.Close()
	f.Restart("control")
	require.Greater(t, len(taken), 10)
	require.Equal(t, taken[10:], tap.Bodies(len(taken)-10))
}
