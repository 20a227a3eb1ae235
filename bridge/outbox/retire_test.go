package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// without returns the router of stamp a in a topology that has no stamp c.
func without(t *testing.T) *bridge.Router {
	t.Helper()
	text := strings.NewReplacer("  - {name: c, geo: eu, ring: dev}\n", "", "stamps: [b, c]", "stamps: [b]",
		"  - {name: two, ring: dev, stamps: [c]}\n", "").Replace(federation)
	mesh, err := topology.Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	view, ok := mesh.View("a")
	require.True(t, ok)
	return bridge.NewRouter(view)
}

// An unreached is told which tasks did not reach a stamp. It cannot store the
// first of it.
type unreached struct {
	noted
	failed *atomic.Bool
	ids    chan string
}

func (u unreached) Unreached(_ context.Context, id string, to topology.StampID, _ int) error {
	if to == "c" && u.failed.CompareAndSwap(false, true) {
		return errors.New("not yet")
	}
	u.ids <- fmt.Sprint(to, " ", id)
	return nil
}

// TestEventsOfARemovedStampBecomeLetters: a stamp is away, and then it is
// removed. What is held for it is set aside, and what others get goes on.
func TestEventsOfARemovedStampBecomeLetters(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	s.stop()
	both := router(t, "a")
	var now atomic.Pointer[bridge.Router]
	now.Store(both)
	tasks := unreached{failed: &atomic.Bool{}, ids: make(chan string, 16)}
	start := func() *outbox.Outbox {
		out, err := outbox.New(outbox.Config{
			Me: "a", Relay: s.srv.Connect("relay"), Fed: s.srv.Connect("fed"), Router: now.Load,
			DeadLetters: s.dead, Tasks: tasks, AckTimeout: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		s.stop = natstest.Run(t, out.Run).Stop
		return out
	}
	held := func(out *outbox.Outbox) int64 {
		for _, l := range out.Lanes() {
			if l.Target == "c" {
				return l.Held
			}
		}
		return 0
	}
	letter := func(id string) {
		t.Helper()
		select {
		case l := <-s.dead:
			require.Equal(t, bridge.ReasonUnknown, l.Reason)
			require.Equal(t, topology.StampID("c"), l.To)
			require.Equal(t, string(event(id, "two", "k")), string(l.Body))
			require.Equal(t, "sh.keptn.event.t.triggered", l.Subject)
			require.NotEmpty(t, l.Key)
			require.False(t, l.Captured.IsZero())
		case <-time.After(10 * time.Second):
			require.Fail(t, "no letter", id)
		}
	}
	out := start()
	b := s.receiver("b")
	const n = 5
	for i := range n {
		s.publish(event(fmt.Sprint(i), "two", "k"))
	}
	s.publish(event("x", "one", "k"))
	require.Eventually(t, func() bool { return held(out) == n }, 10*time.Second, time.Millisecond)
	now.Store(without(t))
	out.Retire()
	letter("0") // and again, for its task was not noted
	for i := range n {
		letter(fmt.Sprint(i))
		require.Equal(t, fmt.Sprint("c ", i), <-tasks.ids)
	}
	require.Eventually(t, func() bool { return len(out.Lanes()) == 1 }, 10*time.Second, time.Millisecond)
	require.Len(t, s.bodies(b, 1), 1)

	// It comes back: its lane goes on.
	now.Store(both)
	out.Retire()
	c := s.receiver("c")
	s.publish(event("back", "two", "k"))
	require.Equal(t, []string{string(event("back", "two", "k"))}, s.bodies(c, 1))

	// A process that starts after the removal sets aside as well.
	require.NoError(t, s.fed.DeleteStream(t.Context(), "IN_c"))
	s.publish(event("late", "two", "k"))
	require.Eventually(t, func() bool { return held(out) == 1 }, 10*time.Second, time.Millisecond)
	s.stop()
	now.Store(without(t))
	start()
	letter("late")
}
