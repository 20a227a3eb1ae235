package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
)

// A basin is a sink that keeps what it is given, each event once.
type basin struct {
	mu       sync.Mutex // guards the following fields
	deaf     bool       // wants nothing
	broken   bool
	failed   int
	bodies   []string // in order of arrival
	known    map[string]bool
	released []string
}

func (b *basin) Wants(s string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.deaf && s == subject
}

func (b *basin) Put(_ context.Context, events []bridge.Passing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		b.failed++
		return errors.New("broken")
	}
	for _, p := range events {
		if !b.known[string(p.Body)] {
			b.known[string(p.Body)] = true
			b.bodies = append(b.bodies, string(p.Body))
		}
	}
	return nil
}

func (b *basin) Release(_ context.Context, triggered string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released = append(b.released, triggered)
	return nil
}

func (b *basin) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *basin) has(bodies ...string) func() bool {
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Sprint(bodies) == fmt.Sprint(b.bodies)
	}
}

func newSunk(t *testing.T, b *basin) *receiver {
	t.Helper()
	b.known = map[string]bool{}
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) { c.Sinks = []bridge.Sink{b} }
	r.fed = r.srv.Connect("fed")
	r.start()
	return r
}

// TestWhatASinkWantsDoesNotWait: nobody subscribes, and the sink gets it in
// order; a client that comes later gets only what comes later.
func TestWhatASinkWantsDoesNotWait(t *testing.T) {
	b := &basin{}
	r := newSunk(t, b)
	var want []string
	for i := range 300 {
		require.NoError(t, r.send("a", fmt.Sprint(i)))
		want = append(want, string(event(fmt.Sprint(i))))
	}
	require.Eventually(t, b.has(want...), 5*time.Second, time.Millisecond)
	require.Empty(t, r.in.Waiting())
	r.stop()
	r.start()
	sub := r.subscribe()
	require.NoError(t, r.send("a", "both"))
	require.Equal(t, string(event("both")), next(t, sub))
	require.Eventually(t, b.has(append(want, string(event("both")))...), 5*time.Second, time.Millisecond)
	r.none(sub)
}

// TestSinkThatCannotStoreLetsNothingPass: clients get it when the sink has it, and
// once.
func TestSinkThatCannotStoreLetsNothingPass(t *testing.T) {
	b := &basin{broken: true}
	r := newSunk(t, b)
	sub := r.subscribe()
	ended := r.ended()
	require.NoError(t, r.send("a", "1"))
	require.ErrorContains(t, <-ended, "broken")
	_, err := sub.NextMsg(10 * time.Millisecond)
	require.Error(t, err)
	b.set(func() { b.broken = false })
	r.start()
	require.Equal(t, string(event("1")), next(t, sub))
	require.True(t, b.has(string(event("1")))())
	r.none(sub)
}

// TestSinkThatWantsNothingChangesNothing: events wait for a subscriber as if there
// were none.
func TestSinkThatWantsNothingChangesNothing(t *testing.T) {
	b := &basin{deaf: true}
	r := newSunk(t, b)
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 1 }, 5*time.Second, time.Millisecond)
	b.set(func() { b.deaf = false }) // one that polls has come
	require.Eventually(t, b.has(string(event("1"))), 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return len(r.in.Waiting()) == 0 }, 5*time.Second, time.Millisecond)
}

// TestTaskIsTakenBackFromASink: the stamp lets go of what its sink was given.
func TestTaskIsTakenBackFromASink(t *testing.T) {
	b := &basin{}
	r := newSunk(t, b)
	require.NoError(t, r.send("a", "1"))
	require.Eventually(t, b.has(string(event("1"))), 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return r.in.LetGo(t.Context(), "1") }, 5*time.Second, time.Millisecond)
	b.set(func() { require.Equal(t, []string{"1"}, b.released) })
}
