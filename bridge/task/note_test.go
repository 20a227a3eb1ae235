package task

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

const long = 20 * time.Second

type noLetters struct{}

func (noLetters) Put(context.Context, bridge.Letter) error { return nil }

// A giver gives tasks to stamp b and keeps its notes on a real server.
type giver struct {
	t     *testing.T
	stamp *natstest.Stamp
	*Tasks
	stop func()
}

func newGiver(t *testing.T, stamp *natstest.Stamp) *giver {
	t.Helper()
	ts, err := New(Config{
		Me: "a", Relay: stamp.Connect("relay"), Fed: stamp.Connect("fed"), Router: func() *bridge.Router { return nil },
		Send: func(context.Context, Offer) error { return nil }, Away: nobody, LetGo: func(context.Context, string) bool { return true },
		DeadLetters: noLetters{}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	g := &giver{t: t, stamp: stamp, Tasks: ts}
	g.begin()
	return g
}

func (g *giver) begin() {
	g.stop = natstest.Run(g.t, g.Run).Stop
}

// give gives tasks with ids from first to last, and waits until they are stored.
func (g *giver) give(first, last int) {
	g.t.Helper()
	stored := make(chan struct{}, last-first+1)
	for i := first; i <= last; i++ {
		require.NoError(g.t, g.Give(context.Background(), toB(i), func() { stored <- struct{}{} }))
	}
	for range last - first + 1 {
		select {
		case <-stored:
		case <-time.After(long):
			g.t.Fatal("a task is not stored")
		}
	}
}

func toB(i int) *bridge.Given {
	return &bridge.Given{
		Event: &bridge.Event{ID: fmt.Sprint("task-", i), Type: "sh.keptn.event.t.triggered", Context: "k", Project: "p", Stage: "s", Service: "v"},
		Seq:   uint64(i), At: start,
		Decision: bridge.Decision{Rule: &topology.StageRule{Name: "r"}, Targets: []bridge.Target{{Stamp: "b", Rule: "r"}}},
	}
}

// says has a stamp answer a task, as the inbox would.
func (g *giver) says(stamp topology.StampID, kind string, i int, id string) bridge.Verdict {
	g.t.Helper()
	e := &bridge.Event{ID: id, Type: "sh.keptn.event.t." + kind, Source: "plane", TriggeredID: fmt.Sprint("task-", i)}
	v, err := g.Admit(context.Background(), stamp, "", e, uint64(i))
	require.NoError(g.t, err)
	require.NoError(g.t, g.Commit(context.Background()))
	return v
}

func (g *giver) messages(filter string) (n int) {
	g.t.Helper()
	info, err := g.store.stream.Info(context.Background(), jetstream.WithSubjectFilter(filter))
	require.NoError(g.t, err)
	return len(info.State.Subjects)
}

// TestNotesAreStoredTogether: many tasks, few messages; what they say is known
// after a restart.
func TestNotesAreStoredTogether(t *testing.T) {
	t.Parallel()
	g := newGiver(t, natstest.StartStamp(t))
	g.give(1, 1000)
	require.Less(t, g.messages("task.>"), 100)
	g.stop()

	g = newGiver(t, g.stamp)
	require.Equal(t, bridge.Refuse, g.says("c", "started", 1, "x").Do, "c was not asked")
	require.Equal(t, bridge.Hold, g.says("b", "started", 5000, "x").Do, "it may be given yet")
	g.CaughtUp()
	require.Equal(t, bridge.Refuse, g.says("b", "started", 5000, "x").Do)
	for i := 1; i <= 1000; i += 100 {
		require.Equal(t, bridge.Pass, g.says("b", "started", i, "s").Do)
		require.Equal(t, bridge.Refuse, g.says("b", "started", i, "another").Do)
	}
}

// TestNotesGoWhenTasksAreOver: batches are rewritten and removed in passing, and
// what a process that died had not removed is not believed.
func TestNotesGoWhenTasksAreOver(t *testing.T) {
	t.Parallel()
	g := newGiver(t, natstest.StartStamp(t))
	g.give(1, 50)
	left, _, err := g.store.open(context.Background())
	require.NoError(t, err)
	require.Empty(t, left)
	_, before, err := g.store.open(context.Background())
	require.NoError(t, err)
	bodies := map[string][]byte{}
	for _, tk := range before {
		m, err := g.store.stream.GetLastMsgForSubject(context.Background(), askedSubject+tk.in.id)
		require.NoError(t, err)
		bodies[tk.in.id] = m.Data
	}
	for i := 1; i <= 49; i++ {
		require.Equal(t, bridge.Pass, g.says("b", "started", i, "s").Do)
		require.Equal(t, bridge.Pass, g.says("b", "finished", i, "f").Do)
	}
	require.Eventually(t, func() bool { return g.messages(askedSubject+">") == 1 }, long, 20*time.Millisecond)
	require.Len(t, g.List(100), 1)
	g.stop()

	for id, body := range bodies { // as if the process had died before
		require.NoError(t, g.store.writeBatch(context.Background(), id, body))
	}
	g = newGiver(t, g.stamp)
	g.CaughtUp()
	require.Equal(t, bridge.Refuse, g.says("b", "finished", 7, "another").Do, "over, whatever the batch says")
	require.Equal(t, bridge.Pass, g.says("b", "finished", 7, "f").Do)
	require.Eventually(t, func() bool { return len(g.List(100)) == 1 && g.messages(askedSubject+">") == 1 }, long, 20*time.Millisecond)
	require.Equal(t, bridge.Pass, g.says("b", "started", 50, "s").Do)
	require.Eventually(t, func() bool { return g.messages(askedSubject+">") == 0 }, long, 20*time.Millisecond)
	require.Equal(t, 1, g.messages(openSubject+">"))
}

// TestNotesOfAnEndedRun: what was given and not stored is stored by the next run,
// and only of those who still wait.
func TestNotesOfAnEndedRun(t *testing.T) {
	t.Parallel()
	g := newGiver(t, natstest.StartStamp(t))
	g.stop()
	stored := make(chan string, 2)
	gone, cancel := context.WithCancel(context.Background())
	require.NoError(t, g.Give(gone, toB(1), func() { stored <- "gone" }))
	require.NoError(t, g.Give(context.Background(), toB(2), func() { stored <- "waits" }))
	cancel()
	g.begin()
	select {
	case who := <-stored:
		require.Equal(t, "waits", who)
	case <-time.After(long):
		t.Fatal("not stored")
	}
	require.Len(t, g.List(10), 1)
	g.give(2, 2) // read again: it is stored already
	require.Equal(t, 1, g.messages("task.>"))
}
