package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// operator makes credentials of somebody who may give orders.
func operator(t *testing.T, f *fed.Fed) []byte {
	t.Helper()
	var file []byte
	require.NoError(t, f.Reissue(func(s *keystore.Store) (err error) {
		file, _, err = s.Orderer("anna", time.Hour, time.Now())
		return err
	}))
	return file
}

// order gives an order at a stamp's admin port and asks that every stamp carries
// it out.
func order(t *testing.T, f *fed.Fed, creds []byte, at topology.StampID, v bridge.Verb, to ...topology.StampID) {
	t.Helper()
	level := ""
	if v == bridge.VerbLevel {
		level = "debug"
	}
	text, err := json.Marshal(bridge.Order{ID: rand.Text(), At: time.Now(), Verb: v, To: to, Reason: "test", Level: level})
	require.NoError(t, err)
	signed, err := auth.SignOrder(creds, text)
	require.NoError(t, err)
	body, err := json.Marshal(signed)
	require.NoError(t, err)
	var said string
	require.Eventually(t, func() bool { // links may be on their way up
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.Stamp(at).Gateway().AdminURL()+"/orders", bytes.NewReader(body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		said = string(b)
		var is gateway.OrderReport
		require.Equal(t, http.StatusOK, resp.StatusCode, said)
		require.NoError(t, json.Unmarshal(b, &is))
		for _, a := range is.Answers {
			if a.Done == nil {
				return false
			}
		}
		return len(is.Answers) == len(to)
	}, fed.Patience, 50*time.Millisecond, &said)
}

// load publishes n events to ring prod. It closes third when a third was sent, and
// sends the last third after resume.
func load(t *testing.T, f *fed.Fed, n, contexts int, third chan<- struct{}, resume <-chan struct{}) {
	nc := f.Client("control")
	for i := range n {
		if i == n/3 {
			close(third)
		}
		if i == 2*n/3 {
			<-resume
		}
		if err := nc.Publish(triggered, event(triggered, fmt.Sprint(i), "prod", fmt.Sprint(i%contexts))); err != nil {
			t.Errorf("publish: %v", err)
		}
		if i%10 == 0 {
			_ = nc.Flush() // what is missing shows
		}
	}
	_ = nc.Flush()
}

// TestFrozenRing: a ring is frozen under load, a gateway of it is started anew,
// and the ring promoted: every stamp gets every event, once and in order, and
// what tells of the work of before passes all the time.
func TestFrozenRing(t *testing.T) {
	f := fed.New(t, world, func(o *gateway.Options) { o.Events.CanaryInterval = 250 * time.Millisecond })
	creds := operator(t, f)
	ring := []topology.StampID{"hub", "wss"}
	taps := map[topology.StampID]*fed.Tap{}
	for _, s := range ring {
		taps[s] = f.Tap(s, triggered, "")
	}
	answers := f.Tap("control", finished, "")
	const n, contexts = 900, 7
	var wg sync.WaitGroup
	third, resume := make(chan struct{}), make(chan struct{})
	wg.Go(func() { load(t, f, n, contexts, third, resume) })
	got := map[topology.StampID][]string{}
	for s, tap := range taps {
		got[s] = append(got[s], tap.Bodies(1)...) // work is under way
	}
	<-third
	order(t, f, creds, "tls", bridge.VerbFreeze, ring...)
	for s, tap := range taps {
		got[s] = append(got[s], tap.Rest()...)
	}
	held := func(s topology.StampID) int {
		if h := f.Status(s).Hold; h != nil {
			return h.Held
		}
		return -1
	}
	for s := range taps {
		require.Eventually(t, func() bool { return held(s)+len(got[s]) == 2*n/3 }, fed.Patience, 5*time.Millisecond)
		require.Empty(t, taps[s].Rest(), "frozen")
	}
	f.Stop("wss")
	f.Restart("wss")
	f.Linked()
	require.Eventually(t, func() bool { return held("wss")+len(got["wss"]) == 2*n/3 }, fed.Patience, 5*time.Millisecond)
	require.Contains(t, fmt.Sprint(f.Status("wss").Causes), "frozen since")

	require.Eventually(t, func() bool { // whoever chooses among stamps knows
		n := 0
		for _, p := range f.Status("control").Peers {
			if p.Hold == "frozen" {
				n++
			}
		}
		return n == len(ring)
	}, fed.Patience, 10*time.Millisecond)

	// What has begun may end.
	for s := range taps {
		f.Publish(s, started, answerOf(s, started, "0", "prod"))
		f.Publish(s, finished, answerOf(s, finished, "0", "prod"))
	}
	answers.Bodies(2)

	close(resume)
	order(t, f, creds, "hub", bridge.VerbPromote, ring...)
	wg.Wait()
	for s, tap := range taps {
		got[s] = append(got[s], tap.Bodies(n-len(got[s]))...)
		requireInOrder(t, got[s], n, contexts)
		require.Equal(t, -1, held(s))
	}
	last := event(triggered, "last", "prod", "last")
	f.Publish("control", triggered, last)
	for _, tap := range taps {
		require.Equal(t, []string{string(last)}, tap.Bodies(1), "and nothing twice")
	}
}

// TestFrozenOverAHandover: whichever replica delivers knows that the stamp is
// frozen, and every one what is to be logged.
func TestFrozenOverAHandover(t *testing.T) {
	f := fed.New(t, tripled)
	explain(t, f, "tls")
	creds := operator(t, f)
	tap := f.Tap("tls", triggered, "")
	order(t, f, creds, "tls", bridge.VerbFreeze, "tls")
	const n, contexts = 60, 5
	shipyard := f.Client("control")
	for i := range n {
		publish(t, shipyard, event(triggered, fmt.Sprint(i), "dev", fmt.Sprint(i%contexts)))
	}
	allHeld := func() bool {
		r := f.Stamp("tls").Active()
		if r == nil {
			return false
		}
		g := r.Gateway()
		if g == nil {
			return false
		}
		h := g.Status().Hold
		return h != nil && h.Held == n
	}
	require.Eventually(t, allHeld, fed.Patience, 10*time.Millisecond)
	f.StopReplica("tls", f.Active("tls"))
	require.Eventually(t, allHeld, fed.Patience, 10*time.Millisecond)
	require.Empty(t, tap.Rest())
	order(t, f, creds, "control", bridge.VerbLevel, "tls")
	require.Eventually(t, func() bool {
		for i := range 3 {
			if g := f.Replica("tls", i).Gateway(); g != nil && g.Status().LogLevel != "debug" {
				return false
			}
		}
		return true
	}, fed.Patience, 20*time.Millisecond)
	order(t, f, creds, "control", bridge.VerbResume, "tls")
	requireInOrder(t, tap.Bodies(n), n, contexts)
	mark(t, f, tap, "dev")
}

// TestRunningTasksAreCounted: what a drained stamp is waited for.
func TestRunningTasksAreCounted(t *testing.T) {
	f := fed.New(t, world)
	tap := f.Tap("wss", triggered, "")
	running := func() int { return f.Status("control").Running["wss"] }
	f.Publish("control", triggered, event(triggered, "1", "far", "k-1"), event(triggered, "2", "far", "k-2"))
	tap.Bodies(2)
	require.Zero(t, running())
	f.Publish("wss", started, answerOf("wss", started, "1", "far"))
	f.Publish("wss", started, answerOf("wss", started, "2", "far"))
	require.Eventually(t, func() bool { return running() == 2 }, fed.Patience, 5*time.Millisecond)
	f.Publish("wss", finished, answerOf("wss", finished, "1", "far"))
	require.Eventually(t, func() bool { return running() == 1 }, fed.Patience, 5*time.Millisecond)
	f.Publish("wss", finished, answerOf("wss", finished, "2", "far"))
	require.Eventually(t, func() bool { return running() == 0 }, fed.Patience, 5*time.Millisecond)
}
