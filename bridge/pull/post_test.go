package pull_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/test/keptn"
)

func (w *world) put(r *running, events ...bridge.Passing) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	require.NoError(w.t, r.Put(ctx, events))
}

// TestAnswersArePostedInOrderOnce: a sequence completes, and what is handed over
// again is not posted again.
func TestAnswersArePostedInOrderOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	e := w.trigger("sockshop", "carts")
	a, b := answer(started, e, "s", ""), answer(finished, e, "f", "")
	w.put(r, a, b)
	w.put(r, a, b)
	w.settled(r)
	w.put(r, b)
	r.stop()
	r = w.run()
	w.put(r, a, b)
	w.settled(r)
	done := w.keptn.Ended(t, e.Context)
	require.Equal(t, keptn.Finished, done[0].State)
	require.Equal(t, "pass", done[0].Result)
	w.requireStored(started, e, 1)
	w.requireStored(finished, e, 1)
	require.Equal(t, 2, w.front.count("POST /api/v1/event"))
	require.Empty(t, w.letters)
}

// TestOnlyAnswersForItArePosted: those of other control planes, and what was
// polled, are not.
func TestOnlyAnswersForItArePosted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	e := w.trigger("sockshop", "carts")
	polled := w.awaitCaptured(1)
	require.True(t, r.Wants(started))
	require.True(t, r.Wants("sh.keptn.event.dev.delivery.triggered"))
	require.False(t, r.Wants(deployment))
	require.False(t, r.Wants("sh.keptn.event.project.create.finished"))
	other := answer(started, w.trigger("other", "carts"), "o", "")
	w.put(r, bridge.Passing{Subject: deployment, Body: []byte(polled[0]), Local: true}, other, answer(started, e, "s", ""))
	w.settled(r)
	require.Equal(t, 1, w.front.count("POST /api/v1/event"))
}

// TestPolledSequencesAreNotPostedBack: the bus shows what was put in to
// everybody, this package too.
func TestPolledSequencesAreNotPostedBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const typ = "sh.keptn.event.dev.delivery.triggered"
	w.types = []string{typ}
	r := w.run()
	w.trigger("sockshop", "carts")
	out := w.awaitCaptured(1)
	w.put(r, bridge.Passing{Subject: typ, Body: []byte(out[0]), Local: true})
	w.settled(r)
	require.Equal(t, 0, w.front.count("POST /api/v1/event"))
}

// TestLostRepliesAreLookedUp: whatever happens to a call, the control plane
// gets each answer once and in order.
func TestLostRepliesAreLookedUp(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]fault{
		"taken, reply lost":         {lost},
		"not taken, broken":         {broken},
		"taken at the second":       {broken, lost},
		"taken, 504 of a proxy":     {taken(http.StatusGatewayTimeout)},
		"not taken, 502":            {status(http.StatusBadGateway)},
		"not taken, 503":            {status(http.StatusServiceUnavailable), status(http.StatusServiceUnavailable)},
		"not taken, 500":            {status(http.StatusInternalServerError)},
		"429":                       {status(http.StatusTooManyRequests), status(http.StatusTooManyRequests)},
		"429 with Retry-After":      {status(http.StatusTooManyRequests, "Retry-After", "1")},
		"token refused for a while": {status(http.StatusUnauthorized), status(http.StatusUnauthorized)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.run()
			e := w.trigger("sockshop", "carts")
			w.front.next(faults...)
			w.put(r, answer(started, e, "s", ""), answer(finished, e, "f", ""))
			w.settled(r)
			require.Equal(t, keptn.Finished, w.keptn.Ended(t, e.Context)[0].State)
			w.requireStored(started, e, 1)
			w.requireStored(finished, e, 1)
			require.Empty(t, w.keptn.Store.Late())
			require.Empty(t, w.letters)
		})
	}
}

// TestSameAnswersAreToldApart: two that say the same are two, also when the
// reply to the second is lost or it is not taken.
func TestSameAnswersAreToldApart(t *testing.T) {
	t.Parallel()
	const changed = "sh.keptn.event.deployment.status.changed"
	for name, f := range map[string]fault{"lost": lost, "broken": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.run()
			e := w.trigger("sockshop", "carts")
			w.put(r, answer(changed, e, "1", "half"))
			w.settled(r)
			w.requireStored(changed, e, 1)
			w.front.next(f)
			w.put(r, answer(changed, e, "2", "half"))
			w.settled(r)
			w.requireStored(changed, e, 2)
		})
	}
}

// TestRestartInTheMiddle: a process that stops while a call is under way finds
// out what became of it.
func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, apply := range map[string]bool{"taken": true, "not taken": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.run()
			e := w.trigger("sockshop", "carts")
			at := make(chan struct{})
			w.front.next(func(rw http.ResponseWriter, req *http.Request, on http.Handler) {
				if apply {
					lostReply(on, req)
				}
				_, _ = io.Copy(io.Discard, req.Body)
				close(at)
				<-req.Context().Done()
			})
			w.put(r, answer(started, e, "s", ""), answer(finished, e, "f", ""))
			<-at
			r.stop()
			r = w.run()
			w.put(r, answer(started, e, "s", ""), answer(finished, e, "f", ""))
			w.settled(r)
			require.Equal(t, keptn.Finished, w.keptn.Ended(t, e.Context)[0].State)
			w.requireStored(started, e, 1)
			w.requireStored(finished, e, 1)
		})
	}
}

// lostReply applies a call.
func lostReply(on http.Handler, r *http.Request) {
	defer func() { _ = recover() }() // lost ends the call
	lost(nil, r, on)
}

// TestRefusedAnswersAreSetAside: for good, with the reason, and what follows
// goes on.
func TestRefusedAnswersAreSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	e := w.trigger("sockshop", "carts")
	w.front.next(status(http.StatusBadRequest))
	w.put(r, answer("sh.keptn.event.deployment.status.changed", e, "c", ""), answer(started, e, "s", ""))
	w.settled(r)
	w.requireStored(started, e, 1)
	l := <-w.letters
	require.Equal(t, bridge.ReasonRejected, l.Reason)
	require.Contains(t, l.Detail[0], "400")
	require.Contains(t, l.Detail[0], "no")
}

// TestOthersGoOn: an answer that can not be posted holds up its own context only.
func TestOthersGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	stuck, fine := w.trigger("sockshop", "carts"), w.trigger("sockshop", "orders")
	w.front.next(status(http.StatusInternalServerError))
	w.put(r, answer(started, stuck, "s", ""))
	require.Eventually(t, func() bool { return w.front.count("POST /api/v1/event") == 1 }, patience, time.Millisecond)
	w.put(r, answer(started, fine, "t", ""))
	w.requireStored(started, fine, 1)
	w.settled(r)
	w.requireStored(started, stuck, 1)
}

// TestManyContexts: a burst, with faults all over, arrives once each.
func TestManyContexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit = func(c *pull.Config) { c.Settle = time.Second }
	r := w.run()
	const n = 40
	for i := range n / 4 {
		w.front.next([]fault{lost, broken, status(503), status(429)}[i%4])
	}
	var events []bridge.Passing
	for i := range n {
		e := keptn.Event{ID: fmt.Sprintf("t%d", i), Context: fmt.Sprintf("0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d%04d", i), Data: []byte(`{"project":"sockshop","stage":"dev","service":"c"}`)}
		events = append(events, answer(started, e, fmt.Sprintf("s%d", i), ""), answer(finished, e, fmt.Sprintf("f%d", i), ""))
	}
	w.put(r, events...)
	w.settled(r)
	count := map[string]int{}
	require.Eventually(t, func() bool { return len(w.keptn.Store.Stored()) >= 2*n }, patience, time.Millisecond)
	last := map[string]string{}
	for _, e := range w.keptn.Store.Stored() {
		count[e.TriggeredID+e.TypeName()]++
		require.False(t, e.TypeName() == started && last[e.Context] == finished, "the order holds")
		last[e.Context] = e.TypeName()
	}
	require.Len(t, count, 2*n)
	for what, times := range count {
		require.Equal(t, 1, times, what)
	}
}
