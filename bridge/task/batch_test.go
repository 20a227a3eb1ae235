package task

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// TestPackKeepsPlaces: a batch is written anew while some of its tasks are awake and
// some asleep, some have left it, and one has an id that is not written as it is.
func TestPackKeepsPlaces(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	quoted := `task "q" <&>\ é`
	g.puts(append(toBs(1, 20), named(quoted))...)
	require.Len(t, g.asleep.at, 20)
	require.NotNil(t, g.open[quoted], "its text does not tell its id")
	left := map[int]bool{}
	for _, i := range []int{1, 2, 3, 5, 6, 8, 10, 11, 13, 14, 17, 20} {
		left[i] = true
		g.ends(toB(i).Event.ID)
		if i == 6 {
			require.Equal(t, bridge.Refuse, g.says("c", "started", 7, "x").Do)
			require.Equal(t, bridge.Refuse, g.says("c", "started", 19, "x").Do)
		}
	}
	require.Len(t, g.thinned, 1)
	g.compact(t.Context())
	g.sound()
	require.Equal(t, []string{"task-4", "task-7", "task-9", "task-12", "task-15", "task-16", "task-18", "task-19", quoted}, g.stored())

	// Each is still the one that it was, and once more after another time.
	for _, id := range []string{"task-19", "task-4", quoted, "task-16", "task-7"} {
		g.ends(id)
		g.sound()
	}
	g.compact(t.Context())
	g.sound()
	require.Equal(t, []string{"task-9", "task-12", "task-15", "task-18"}, g.stored())
	for _, id := range g.stored() {
		g.ends(id)
	}
	g.compact(t.Context())
	require.Zero(t, g.messages(askedSubject+">"))
	require.Zero(t, g.nOpen())
	require.Empty(t, g.asleep.at)
}

// TestPackKeepsPlacesOfIDsThatJSONChanges: an id that is no UTF-8 is another one in
// the text.
func TestPackKeepsPlacesOfIDsThatJSONChanges(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	bad := "bad \xff"
	g.puts(append(toBs(1, 4), named(bad), toB(6))...)
	for _, i := range []int{1, 2, 3} {
		g.ends(toB(i).Event.ID)
	}
	g.compact(t.Context())
	g.ends(bad)
	g.ends("task-4")
	g.compact(t.Context())
	require.Equal(t, []string{"task-6"}, g.stored())
	g.sound()
}

// TestSleepersWithOneHash: the second stays awake, and neither is taken for the
// other.
func TestSleepersWithOneHash(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.asleep.hash = func(string) uint64 { return 1 }
	g.puts(toBs(1, 4)...)
	require.Len(t, g.asleep.at, 1)
	require.Len(t, g.open, 3)
	require.Equal(t, 4, g.nOpen())
	require.Len(t, g.List(10), 4)
	g.sound()
	require.Equal(t, bridge.Refuse, g.answers("task-9", "started", "1").Do, "of nobody")
	require.Len(t, g.asleep.at, 1)
	g.ends("task-2")
	g.ends("task-3")
	g.compact(t.Context())
	g.sound()
	require.Equal(t, []string{"task-1", "task-4"}, g.stored())
	g.ends("task-1")
	g.puts(toB(5))
	require.Len(t, g.asleep.at, 1, "there is room again")
	g.sound()
	g.endsAll("task-4", "task-5")
}

// TestTaskBeginsLikeAnother: an id that is the beginning of another is not that one.
func TestTaskBeginsLikeAnother(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.asleep.hash = func(string) uint64 { return 1 }
	g.puts(named("task-11"))
	for _, id := range []string{"task-1", "task-111", `task-11"`, ""} {
		require.Equal(t, bridge.Refuse, g.answers(id, "started", "1").Do, id)
	}
	require.Len(t, g.asleep.at, 1)
	require.Equal(t, bridge.Pass, g.answers("task-11", "started", "1").Do)
}

// TestTasksSleepAfterARestart: once it is known that they have no message of their
// own.
func TestTasksSleepAfterARestart(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.puts(toBs(1, 10)...)
	g.ends("task-1")
	require.Equal(t, bridge.Pass, g.says("b", "started", 2, "s").Do)
	require.NoError(t, g.load(t.Context())) // the batch names both
	require.Len(t, g.unsure, 9)
	require.Empty(t, g.asleep.at)
	require.Equal(t, bridge.Refuse, g.says("c", "started", 3, "s").Do)
	g.check(t.Context())
	require.Empty(t, g.unsure)
	require.Len(t, g.open, 2, "2 has begun, and somebody asked for 3")
	require.Len(t, g.asleep.at, 7)
	g.sound()
	for i := 4; i <= 10; i++ {
		g.ends(toB(i).Event.ID)
	}
	g.compact(t.Context())
	g.sound()
	require.Equal(t, []string{"task-3"}, g.stored())
	require.Equal(t, bridge.Pass, g.says("b", "finished", 2, "f").Do)
	g.endsAll("task-3")
}

// TestBatchThatWasStoredAllTheSame: the run ended before it knew. The next run does
// not store the tasks once more, in a batch that would never go.
func TestBatchThatWasStoredAllTheSame(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	n := 0
	for _, one := range toBs(1, 2) {
		require.NoError(t, g.Give(t.Context(), one, func() { n++ }))
	}
	notes, b, _ := g.nextBatch()
	require.NoError(t, g.store.writeBatch(t.Context(), b.id, b.body))
	g.takeBack(notes, b)
	require.NoError(t, g.load(t.Context()))
	g.storeNotes(t.Context())
	require.Equal(t, 2, n)
	require.Equal(t, []string{"task-1", "task-2"}, g.stored(), "once")
	g.check(t.Context())
	g.sound()
	g.endsAll("task-1", "task-2")
}

// TestBatchThatWasNotStored: its tasks are noted by the next run, and sleep then.
func TestBatchThatWasNotStored(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	n := 0
	for _, one := range toBs(1, 3) {
		require.NoError(t, g.Give(t.Context(), one, func() { n++ }))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, g.storeNotes(ended))
	require.Zero(t, n)
	require.Empty(t, g.asleep.at)
	g.sound()
	g.ends("task-2") // also between two runs
	require.NoError(t, g.load(t.Context()))
	g.storeNotes(t.Context())
	require.Equal(t, 3, n)
	require.Equal(t, []string{"task-1", "task-3"}, g.stored())
	require.Len(t, g.asleep.at, 2)
	g.sound()
}

// TestTaskIsAnsweredWhileItIsNoted: it leaves a batch that is not stored yet.
func TestTaskIsAnsweredWhileItIsNoted(t *testing.T) {
	t.Parallel()
	for _, over := range []int{1, 2, 3} {
		g := newAsleep(t)
		for _, one := range toBs(1, 3) {
			require.NoError(t, g.Give(t.Context(), one, func() {}))
		}
		notes, b, _ := g.nextBatch()
		for i := 1; i <= over; i++ {
			g.ends(toB(i).Event.ID)
		}
		require.Empty(t, g.thinned, "there is nothing to rewrite yet")
		g.takeBack(notes, b)
		require.NotNil(t, b)
		g.storeNotes(t.Context())
		require.Len(t, g.asleep.at, 3-over)
		g.sound()
		g.compact(t.Context())
		require.Len(t, g.stored(), 3-over)
	}
}

// TestTaskIsGivenByTwo: it is one task, whoever is first.
func TestTaskIsGivenByTwo(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	g.caughtUp = false // both ask the stream, and neither knows of the other meanwhile
	const n = 8
	var wg sync.WaitGroup
	var one sync.Mutex
	stored := make(chan struct{}, n)
	for range n {
		wg.Go(func() {
			assert.NoError(t, g.Give(t.Context(), toB(1), func() { stored <- struct{}{} }))
			one.Lock()
			defer one.Unlock()
			g.storeNotes(t.Context())
		})
	}
	wg.Wait()
	require.Len(t, stored, n)
	require.Equal(t, 1, g.nOpen())
	require.Len(t, g.stored(), 1)
	g.sound()
	g.endsAll("task-1")
}

// TestWhatIsMoreThanAskedDoesNotSleep: a batch may have a task that was answered, or
// became a dead letter, when it was noted. Those are counted, and looked at once.
func TestWhatIsMoreThanAskedDoesNotSleep(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	b := newBatch("1", 0, g.store)
	begun, missed, asked := complete(all("b")), complete(all("b")), complete(all("b"))
	begun.ID, missed.ID, asked.ID = "begun", "missed", "asked"
	begun.Answer(Answer{Stamp: "b", Source: "p", Kind: KindStarted, Key: "1"}, start)
	missed.Unreached("b", 0)
	for _, task := range []*Task{begun, missed, asked} {
		text, err := new(encoder).encode(task)
		require.NoError(t, err)
		b.add(text)
	}
	b.end()
	require.NoError(t, g.store.writeBatch(t.Context(), b.id, b.body))
	require.NoError(t, g.load(t.Context()))
	g.check(t.Context())
	require.Len(t, g.open, 2)
	require.Len(t, g.asleep.at, 1)
	require.Equal(t, map[topology.StampID]int{"b": 1}, g.Running())
	g.removed(time.Now())
	require.Contains(t, g.watched, "missed")
	g.sound()
}

// TestAnswerIsStoredInTheNextRun: the run began anew while it was being stored, and
// read the batch before. What is stored counts, and the batch goes.
func TestAnswerIsStoredInTheNextRun(t *testing.T) {
	t.Parallel()
	for name, asleep := range map[string]bool{"unsure": false, "asleep": true} {
		g := newAsleep(t)
		g.puts(toBs(1, 4)...)
		change := func(id string, kinds ...Kind) *Task {
			task, err := g.find(t.Context(), id)
			require.NoError(t, err)
			for _, kind := range kinds {
				task.Answer(Answer{Stamp: "b", Source: "plane", Kind: kind, Key: bridge.Key(id)}, start)
			}
			return task
		}
		over, begun := change("task-1", KindStarted, KindFinished), change("task-2", KindStarted)
		require.NoError(t, g.load(t.Context()))
		if asleep {
			g.check(t.Context())
			require.Len(t, g.asleep.at, 4)
		}
		require.NoError(t, g.save(t.Context(), []*Task{over, begun}))
		g.sound()
		require.Equal(t, 3, g.nOpen(), name)
		require.Equal(t, map[topology.StampID]int{"b": 1}, g.Running(), name)
		g.compact(t.Context())
		require.Equal(t, []string{"task-3", "task-4"}, g.stored(), name)
		g.check(t.Context())
		g.ends("task-3")
		g.ends("task-4")
		g.compact(t.Context())
		require.Zero(t, g.messages(askedSubject+">"), name)
		require.Equal(t, 1, g.nOpen(), name)
	}
}

// TestNothingIsKnownBeforeRun: whoever asks is told so, or that there is nothing.
func TestNothingIsKnownBeforeRun(t *testing.T) {
	t.Parallel()
	stamp := natstest.StartStamp(t)
	ts, err := New(Config{
		Me: "a", Relay: stamp.Connect("relay"), Fed: stamp.Connect("fed"), Router: func() *bridge.Router { return nil },
		Send: func(context.Context, Offer) error { return nil }, Away: nobody, LetGo: func(context.Context, string) bool { return true },
		DeadLetters: noLetters{}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.Empty(t, ts.List(10))
	require.Empty(t, ts.Running())
	known, err := ts.Of(t.Context(), "1", 10, time.Now())
	require.NoError(t, err)
	require.Empty(t, known)
	require.Error(t, ts.Give(t.Context(), toB(1), func() {}))
	_, err = ts.Admit(t.Context(), "b", "", &bridge.Event{ID: "2", Type: "sh.keptn.event.t.started", TriggeredID: "1"}, 1)
	require.Error(t, err)
	require.Error(t, ts.Unreached(t.Context(), "1", "b", 0))
}

// TestTakenBackWithANoteOfAnotherBatch: a task was given again while it was being
// noted, and the store of the next batch is given up. It stays in the first one.
func TestTakenBackWithANoteOfAnotherBatch(t *testing.T) {
	t.Parallel()
	g := newAsleep(t)
	n := 0
	give := func(i int) { require.NoError(t, g.Give(t.Context(), toB(i), func() { n++ })) }
	give(1)
	notes, first, _ := g.nextBatch()
	require.Len(t, notes, 1)
	give(1)
	give(2)
	g.open["task-1"].noted, first.stored = true, true
	notes, second, _ := g.nextBatch()
	require.Len(t, notes, 2)
	g.takeBack(notes, second)
	require.Same(t, first, g.open["task-1"].in)
	require.Nil(t, g.open["task-2"].in)
	g.storeNotes(t.Context())
	require.Equal(t, 2, n)
	g.sound()
}
