package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
)

// TestFailedProgressRepeatsNothing: the progress cannot be written, or its reply
// is lost, while events are delivered. The inbox fails, is run again, as its
// keeper does, and everything is delivered once.
func TestFailedProgressRepeatsNothing(t *testing.T) {
	for name, c := range map[string]struct{ fail, heal func(*jetstream.StreamConfig) }{
		"not applied": {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 }, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 }},
		"reply lost":  {func(c *jetstream.StreamConfig) { c.NoAck = true }, func(c *jetstream.StreamConfig) { c.NoAck = false }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			sub := r.subscribe()
			r.none(sub)
			js, err := jetstream.New(r.srv.Connect("relay"))
			require.NoError(t, err)
			stream, err := js.Stream(t.Context(), inbox.StreamState)
			require.NoError(t, err)
			config := stream.CachedInfo().Config
			c.fail(&config)
			_, err = js.UpdateStream(t.Context(), config)
			require.NoError(t, err)
			for i := range 5 {
				require.NoError(t, r.send("a", fmt.Sprint(i)))
			}
			require.Error(t, r.fails(), "the progress is not written")
			c.heal(&config)
			_, err = js.UpdateStream(t.Context(), config)
			require.NoError(t, err)
			r.again()
			for i := range 5 {
				require.Equal(t, string(event(fmt.Sprint(i))), next(t, sub))
			}
			r.none(sub)
		})
	}
}

// A balk is a gate that cannot store what it took note of, for a while.
type balk struct {
	openGate
	balks atomic.Bool
}

func (b *balk) Commit(context.Context) error {
	if b.balks.Load() {
		return errors.New("not stored")
	}
	return nil
}

// TestFailedCommitRepeatsNothing: an answer was given to the control plane, and
// the gate could not store that it passed. The inbox is run again, and knows.
func TestFailedCommitRepeatsNothing(t *testing.T) {
	gate := &balk{}
	rt := router(t, "a")
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) {
		c.Me, c.Router, c.Gate = "a", func() *bridge.Router { return rt }, gate
	}
	r.fed = r.srv.Connect("fed")
	r.start()
	sub, err := r.srv.Connect("app").SubscribeSync(answer)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.srv.Interest(answer) }, 5*time.Second, time.Millisecond)
	gate.balks.Store(true)
	r.answer("x")
	require.Contains(t, next(t, sub), `"id":"x"`)
	require.ErrorContains(t, r.fails(), "not stored")
	gate.balks.Store(false)
	r.again()
	r.answer("y")
	require.Contains(t, next(t, sub), `"id":"y"`, "x is given once")
}

// fails waits until Run has returned, and returns why.
func (r *receiver) fails() error {
	r.t.Helper()
	select {
	case err := <-r.ended():
		return err
	case <-time.After(20 * time.Second):
		return nil
	}
}

// again runs the same inbox once more.
func (r *receiver) again() {
	r.stop = natstest.Run(r.t, func(ctx context.Context, ready func()) error {
		ready() // nobody waits for it
		return r.in.Run(ctx, func() {})
	}).Stop
}

// TestDeliveredWhileAnotherTakesOver: one replica delivers until the next one,
// which has seen RW_IN before that, writes the progress.
func TestDeliveredWhileAnotherTakesOver(t *testing.T) {
	r := newReceiver(t)
	r.stop()
	successor := r.in
	floor, err := successor.RecallAfter(t.Context(), func() {
		r.start()
		sub := r.subscribe()
		require.NoError(t, r.send("a", "1"))
		require.Equal(t, string(event("1")), next(t, sub))
		r.stop()
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, floor, "it would be delivered again")
}

// TestOnlyTheLeaderSaysWhatIsGone: what is not in RW_IN any more is settled, and
// a replica that lags behind does not have it yet.
func TestOnlyTheLeaderSaysWhatIsGone(t *testing.T) {
	require.False(t, inbox.AsksAnyReplica(3))
	require.True(t, inbox.AsksAnyReplica(1), "there it is the same, and faster")
}
