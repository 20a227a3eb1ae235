package lead_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/lead"
	"github.com/ringway/ringway/internal/natstest"
)

const (
	long = 20 * time.Second
	ttl  = 400 * time.Millisecond
)

// A rival competes until stop, and fails the test if two act at once.
type rival struct {
	*lead.Lease
	nc   *nats.Conn
	stop func()
}

// A ring is several rivals for one lease.
type ring struct {
	t      *testing.T
	stamp  *natstest.Stamp
	acting atomic.Int32
	turns  chan string // who began to act
	ttl    time.Duration
	gone   func(context.Context, string) bool
}

func newRing(t *testing.T) *ring {
	return &ring{t: t, stamp: natstest.StartStamp(t), turns: make(chan string, 100), ttl: ttl}
}

func (r *ring) rival(name string) *rival {
	r.t.Helper()
	nc := r.stamp.Connect("relay")
	l, err := lead.New(lead.Config{Relay: nc, Name: name, Replicas: 1, TTL: r.ttl, Gone: r.gone, Log: slog.New(slog.DiscardHandler)})
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- l.Run(ctx, func(ctx context.Context) {
			if r.acting.Add(1) != 1 {
				r.t.Error("two act at once")
			}
			r.turns <- name
			<-ctx.Done()
			r.acting.Add(-1)
		})
	}()
	v := &rival{Lease: l, nc: nc, stop: sync.OnceFunc(func() { cancel(); <-done })}
	r.t.Cleanup(v.stop)
	return v
}

func (r *ring) next() string {
	r.t.Helper()
	select {
	case name := <-r.turns:
		return name
	case <-time.After(long):
		r.t.Fatal("nobody acts")
		return ""
	}
}

func TestLeaseIsHandedOverAtOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	a := r.rival("a")
	require.Equal(t, "a", r.next())
	b := r.rival("b")
	require.Eventually(t, func() bool { return b.State().Holder == "a" }, long, time.Millisecond)
	require.True(t, a.State().Active)
	require.False(t, b.State().Active)
	before := time.Now()
	a.stop()
	require.Equal(t, "b", r.next())
	t.Logf("handed over in %v", time.Since(before))
	require.Less(t, time.Since(before), ttl)
}

// TestHolderStopsBeforeAnotherBegins: whoever can not renew stops by its own
// clock, and the others wait longer than that.
func TestHolderStopsBeforeAnotherBegins(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	rivals := map[string]*rival{}
	for i := range 6 {
		name := fmt.Sprint(i)
		rivals[name] = r.rival(name)
	}
	for range 5 {
		rivals[r.next()].nc.Close()
	}
	last := r.next()
	require.Eventually(t, func() bool { return rivals[last].State().Active }, long, time.Millisecond)
}

// TestLostLeaseEnds: a holder that meets a record of another stops at once.
func TestLostLeaseEnds(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	a := r.rival("a")
	require.Equal(t, "a", r.next())
	js, err := jetstream.New(r.stamp.Connect("relay"))
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), lead.Subject, []byte(`{"holder":"b","token":"x"}`))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !a.State().Active }, long, time.Millisecond)
	require.Equal(t, "a", r.next(), "a holder that is gone for TTL and margin is followed")
}

// TestLeaseOutlivesALostStream: the records are lost with their disk.
func TestLeaseOutlivesALostStream(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	r.rival("a")
	require.Equal(t, "a", r.next())
	js, err := jetstream.New(r.stamp.Connect("relay"))
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(t.Context(), lead.Stream))
	require.Equal(t, "a", r.next())
}

// TestGoneHolderIsFollowedAtOnce: a holder that is sure to reach no majority is
// not waited for.
func TestGoneHolderIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	var gone atomic.Bool
	r.ttl, r.gone = time.Hour, func(_ context.Context, holder string) bool { return holder == "a" && gone.Load() }
	a := r.rival("a")
	require.Equal(t, "a", r.next())
	a.nc.Close()
	r.ttl = ttl
	b := r.rival("b")
	require.Eventually(t, func() bool { return b.State().Holder == "a" }, long, time.Millisecond)
	require.False(t, b.State().Active)
	r.acting.Add(-1) // a cannot know
	before := time.Now()
	gone.Store(true)
	require.Equal(t, "b", r.next())
	require.Less(t, time.Since(before), ttl)
	r.acting.Add(1)
}
