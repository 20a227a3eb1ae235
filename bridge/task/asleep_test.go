package task

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// newAsleep returns Tasks of which nothing runs, so that a test says when notes are
// stored, and that know all that was given before.
func newAsleep(t *testing.T) *giver {
	t.Helper()
	stamp := natstest.StartStamp(t)
	router := routerOf(t)
	ts, err := New(Config{
		Me: "a", Relay: stamp.Connect("relay"), Fed: stamp.Connect("fed"), Router: func() *bridge.Router { return router },
		Send: func(context.Context, Offer) error { return nil }, Away: nobody, LetGo: func(context.Context, string) bool { return true },
		DeadLetters: noLetters{}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, ts.load(t.Context()))
	ts.CaughtUp()
	return &giver{t: t, stamp: stamp, Tasks: ts}
}

// puts gives tasks and stores them, as one batch.
func (g *giver) puts(all ...*bridge.Given) {
	g.t.Helper()
	n := 0
	for _, one := range all {
		require.NoError(g.t, g.Give(g.t.Context(), one, func() { n++ }))
	}
	require.False(g.t, g.storeNotes(g.t.Context()))
	require.Equal(g.t, len(all), n)
}

// toBs are tasks for b with ids from first to last, each asked a second after the
// one before.
func toBs(first, last int) (all []*bridge.Given) {
	for i := first; i <= last; i++ {
		one := toB(i)
		one.At = start.Add(time.Duration(i) * time.Second)
		all = append(all, one)
	}
	return all
}

// named is a task for b.
func named(id string) *bridge.Given {
	g := toB(1)
	g.Event.ID = id
	return g
}

// ends has b answer a task.
func (g *giver) ends(id string) {
	g.t.Helper()
	for _, kind := range []string{"started", "finished"} {
		require.Equal(g.t, bridge.Pass, g.answers(id, kind, kind).Do, "%s of %s", kind, id)
	}
}

// endsAll ends the last tasks, of which nothing is left then.
func (g *giver) endsAll(ids ...string) {
	g.t.Helper()
	for _, id := range ids {
		g.ends(id)
	}
	g.compact(g.t.Context())
	require.Zero(g.t, g.messages(askedSubject+">"))
	require.Zero(g.t, g.nOpen())
}

func (g *giver) answers(id, kind, by string) bridge.Verdict {
	g.t.Helper()
	e := &bridge.Event{ID: by + " of " + id, Type: "sh.keptn.event.t." + kind, Source: "plane", TriggeredID: id}
	v, err := g.Admit(g.t.Context(), "b", "", e, 1)
	require.NoError(g.t, err)
	require.NoError(g.t, g.Commit(g.t.Context()))
	return v
}

// stored returns the ids in the batches of RW_TASK, in order.
func (g *giver) stored() (ids []string) {
	g.t.Helper()
	_, noted, err := g.store.open(g.t.Context())
	require.NoError(g.t, err)
	for _, t := range noted {
		ids = append(ids, t.ID)
	}
	return ids
}

// sound checks what has to be true of the tasks whatever has happened to them.
func (g *giver) sound() {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	inBatch := map[*batch]int{}
	asleep := map[*batch]int{}
	for _, p := range g.asleep.at {
		b := g.asleep.batches[p.batch]
		require.NotNil(g.t, b)
		id := b.idAt(p.slot)
		require.True(g.t, g.asleep.has(id, b, p.slot), "%s is not where it is said to be", id)
		require.False(g.t, b.items[p.slot].gone, id)
		require.Nil(g.t, g.open[id], "%s is there twice", id)
		inBatch[b]++
		asleep[b]++
	}
	for id, t := range g.open {
		if t.in != nil {
			require.Equal(g.t, id, t.in.idAt(t.slot))
			require.False(g.t, t.in.items[t.slot].gone, id)
			inBatch[t.in]++
		}
	}
	for b, n := range inBatch {
		require.Equal(g.t, n, b.live, "tasks of batch %s", b.id)
		require.Equal(g.t, asleep[b], b.asleep)
		n := 0
		for _, it := range b.items {
			if !it.gone {
				n++
			}
		}
		require.Equal(g.t, n, b.live)
		var texts []json.RawMessage
		require.NoError(g.t, json.Unmarshal(b.body, &texts))
		require.Len(g.t, texts, b.told)
	}
	require.Len(g.t, g.asleep.batches, len(asleep))
	require.Equal(g.t, len(g.open)+len(g.asleep.at), g.nOpen())
}

// TestTasksSleep: all that is kept of a task that was noted is its batch, until it
// is answered; nothing is kept of it when it is over.
func TestTasksSleep(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	require.NoError(t, g.Give(t.Context(), toB(1), func() {}))
	require.Len(t, g.open, 1, "it is not noted yet")
	g.puts(toBs(2, 10)[:8:8]...)
	require.Empty(t, g.open)
	require.Len(t, g.asleep.at, 9)
	require.Len(t, g.asleep.batches, 1)
	g.sound()

	require.Equal(t, bridge.Pass, g.says("b", "started", 3, "s").Do)
	require.Len(t, g.open, 1)
	require.Len(t, g.asleep.at, 8)
	require.Equal(t, 9, g.nOpen())
	require.Equal(t, bridge.Refuse, g.says("c", "started", 4, "s").Do)
	require.Len(t, g.open, 2, "who has it may change it")
	require.Equal(t, bridge.Refuse, g.says("b", "started", 50, "s").Do)
	g.sound()
	require.Equal(t, bridge.Pass, g.says("b", "finished", 3, "f").Do)
	for _, i := range []int{1, 2, 4, 5, 6, 7, 8, 9} {
		g.ends(toB(i).Event.ID)
		g.sound()
	}
	require.Zero(t, g.nOpen())
	require.Empty(t, g.asleep.batches)
	g.compact(t.Context())
	require.Zero(t, g.messages(askedSubject+">"))
	require.Empty(t, g.List(10))
}

// TestTasksThatDoNotSleep: those that time changes, those that several have, and
// those of which something was heard before they were noted.
func TestTasksThatDoNotSleep(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	due, two, turn, heard := named("due"), named("two"), named("any"), named("heard")
	due.Decision.Rule = &topology.StageRule{Name: "r", Deadline: time.Hour}
	due.At, turn.At = time.Now(), time.Now()
	two.Decision.Targets = append(two.Decision.Targets, bridge.Target{Stamp: "c"})
	turn.Decision.Targets, turn.Decision.Candidates = nil, turn.Decision.Targets
	for _, one := range []*bridge.Given{due, two, turn, heard} {
		require.NoError(t, g.Give(t.Context(), one, func() {}))
	}
	require.Equal(t, bridge.Pass, g.answers("heard", "started", "1").Do)
	g.storeNotes(t.Context())
	require.Empty(t, g.asleep.at)
	require.Len(t, g.open, 4)
	require.Equal(t, []string{"due"}, g.stored(), "the others have messages of their own")
	g.sound()
}

// TestTaskIsGivenAgainAsleep: it is the one that it was, and is stored once.
func TestTaskIsGivenAgainAsleep(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.puts(toBs(1, 2)...)
	again := toB(1)
	again.Decision.Targets = []bridge.Target{{Stamp: "c", Rule: "r"}}
	n := 0
	require.NoError(t, g.Give(t.Context(), again, func() { n++ }))
	require.Equal(t, 1, n)
	require.EqualValues(t, "b", again.Decision.Targets[0].Stamp)
	require.Equal(t, 2, g.nOpen())
	g.sound()
	g.storeNotes(t.Context())
	require.Equal(t, 1, g.messages("task.>"))

	// Twice before it is noted.
	g.puts(toB(3), toB(3))
	require.Equal(t, 3, g.nOpen())
	g.sound()
	require.Len(t, g.stored(), 3)
	g.ends("task-3")
	require.Equal(t, 2, g.nOpen())
	g.compact(t.Context())
	require.Len(t, g.stored(), 2)
}

// TestListsSleepers: the oldest come first, whether they are asleep, and no more
// than are asked for.
func TestListsSleepers(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.puts(toBs(11, 20)...)
	g.puts(toBs(1, 10)...) // older, and read later
	g.says("b", "started", 5, "s")
	g.says("b", "started", 15, "s")
	ids := func(n int) (ids []string) {
		for _, task := range g.List(n) {
			ids = append(ids, task.ID)
		}
		return ids
	}
	require.Equal(t, []string{"task-1", "task-2", "task-3", "task-4", "task-5", "task-6", "task-7"}, ids(7))
	require.Len(t, ids(100), 20)
	require.Empty(t, ids(0))
	require.Len(t, g.open, 2, "nobody was woken for that")

	// The oldest of one batch leaves, and of the next one all are older than the rest.
	old, young, mid := named("old"), named("young"), named("mid")
	old.At, mid.At, young.At = start.Add(-time.Hour), start.Add(-time.Minute), start.Add(time.Hour)
	g.puts(old, young)
	g.puts(mid)
	g.ends("old")
	require.Equal(t, []string{"mid"}, ids(1))
	g.sound()
}

// TestTellsOfSleepers: by id, and by shkeptncontext also where JSON writes that
// otherwise.
func TestTellsOfSleepers(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.puts(toBs(1, 5)...)
	odd := named("odd")
	odd.Event.Context = `a&"b"`
	g.puts(odd)
	require.Empty(t, g.open)
	of := func(match string) (ids []string) {
		known, err := g.Of(t.Context(), match, 10, time.Now())
		require.NoError(t, err)
		for _, k := range known {
			require.False(t, k.Over)
			require.Equal(t, []topology.StampID{"b"}, k.Stamps)
			require.Equal(t, "b: asked, not started", k.Progress)
			ids = append(ids, k.About.ID)
		}
		return ids
	}
	require.Equal(t, []string{"task-3"}, of("task-3"))
	require.Equal(t, []string{"task-1", "task-2", "task-3", "task-4", "task-5"}, of("k"))
	require.Empty(t, of("task"), "part of an id")
	require.Equal(t, []string{"odd"}, of(odd.Event.Context))
	require.Empty(t, of(""))
	require.Empty(t, g.open, "nobody was woken for that")
}

// TestTellWakesSleepers: of the batches that are old enough, and that have tasks of
// a stamp that nothing gets through to.
func TestTellWakesSleepers(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	now := time.Now()
	g.cfg.TellAfter = time.Minute
	old, young := toB(1), toB(2)
	old.At, young.At = now.Add(-time.Hour), now
	g.puts(old)
	g.puts(young)
	g.tell(t.Context(), now)
	require.Empty(t, g.open, "b is there")
	g.cfg.Silent = only("b")
	g.tellAt = time.Time{}
	g.tell(t.Context(), now)
	require.Len(t, g.open, 1)
	require.NotNil(t, g.open["task-1"])
	g.sound()
}

// TestSleepersOfARemovedStamp: they are looked at, whatever the clock says of when
// they were asked.
func TestSleepersOfARemovedStamp(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"asked before": -time.Hour, "asked since the tick": time.Second, "a clock was ahead": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newAsleep(t)
			now := time.Now()
			g.removed(now)
			there, gone := named("there"), named("gone")
			gone.Decision.Targets = []bridge.Target{{Stamp: "removed"}}
			there.At, gone.At = now.Add(ahead), now.Add(ahead)
			g.puts(there)
			g.puts(gone)
			require.Len(t, g.asleep.at, 2)
			router := routerOf(t)
			g.cfg.Router = func() *bridge.Router { return router }
			g.removed(now)
			require.Contains(t, g.watched, "gone")
			require.NotContains(t, g.watched, "there")
			require.Len(t, g.asleep.at, 1)
			g.sound()
		})
	}
}
