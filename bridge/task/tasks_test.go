package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// fickle fails to store a letter the first times.
type fickle struct {
	fails int
	got   []bridge.Letter
}

func (f *fickle) Put(_ context.Context, l bridge.Letter) error {
	if f.fails--; f.fails >= 0 {
		return errors.New("disk full")
	}
	f.got = append(f.got, l)
	return nil
}

func newTasks(t *testing.T, box DeadLetters) *Tasks {
	t.Helper()
	srv := natstest.StartStamp(t)
	ts, err := New(Config{
		Me: "a", Relay: srv.Connect("relay"), Fed: srv.Connect("fed"), DeadLetters: box,
		Router: func() *bridge.Router { return routerOf(t) },
		Send:   func(context.Context, Offer) error { return nil },
		Away:   nobody, LetGo: func(context.Context, string) bool { return false }, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, ts.load(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { ts.keepNotes(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return ts
}

func routerOf(t *testing.T) *bridge.Router {
	t.Helper()
	mesh, err := topology.Parse("test.yaml", []byte(`
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: a, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "127.0.0.1:1", leafnode: "127.0.0.1:2"}}}
  - {name: b, geo: eu, ring: dev}
controlPlanes: [{name: k, stamp: a}]
stages: [{name: one, ring: dev, stamps: [b]}]
`))
	require.NoError(t, err)
	view, ok := mesh.View("a")
	require.True(t, ok)
	return bridge.NewRouter(view)
}

func given(id string, rule topology.StageRule, at time.Time) *bridge.Given {
	return &bridge.Given{
		Event:   &bridge.Event{ID: id, Type: "sh.keptn.event.t.triggered", Context: "k", Project: "p", Stage: "one", Service: "s"},
		Subject: "sh.keptn.event.t.triggered", Body: []byte("{}"), Seq: 1, At: at,
		Decision: bridge.Decision{Rule: &rule, Candidates: []bridge.Target{{Stamp: "b"}}},
	}
}

// TestLetterIsTriedAgain: a task that no stamp took is not lost when it cannot
// be set aside at once.
func TestLetterIsTriedAgain(t *testing.T) {
	box := &fickle{fails: 2}
	ts := newTasks(t, box)
	rule := topology.StageRule{Name: "r", Deliver: topology.DeliverAny, StartWithin: time.Minute, Deadline: time.Minute, OnDeadline: topology.DeadlineIgnore}
	require.NoError(t, ts.Give(t.Context(), given("1", rule, time.Now().Add(-time.Hour)), func() {}))
	for range 3 {
		ts.look(t.Context(), time.Now())
	}
	require.Len(t, box.got, 1)
	require.Empty(t, ts.List(10))
}

// TestClockThatWasAhead: what another process noted by a clock that was an hour
// ahead does not hold up the task for an hour.
func TestClockThatWasAhead(t *testing.T) {
	held := all("b", "c")
	held.LastStart = start.Add(time.Hour)
	for _, s := range held.Seats {
		s.State = Started
	}
	turned := one("b")
	turned.Turn.Next = start.Add(time.Hour)
	offered := one("b", "c")
	offered.Offer(start.Add(time.Hour), nobody)
	for _, task := range []*Task{held, turned, offered} {
		b, err := json.Marshal(task)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, task))
		task.mend(start)
	}
	require.True(t, held.Open(start.Add(time.Second)))
	_, ok := turned.Offer(start.Add(lastRound), nobody)
	require.True(t, ok)
	to, ok := offered.Offer(start.Add(offered.StartWithin), nobody)
	require.True(t, ok)
	require.EqualValues(t, "c", to)
}

// TestManyOpenTasks: an answer costs the same however many tasks are open.
func TestManyOpenTasks(t *testing.T) {
	ts := newTasks(t, &fickle{})
	for i := range 20_000 {
		task := all("b", "c")
		task.ID, task.Deadline = fmt.Sprint(i), time.Hour
		ts.keep(task)
	}
	begin := time.Now()
	for i := range 5_000 {
		e := &bridge.Event{ID: fmt.Sprint("f", i), TriggeredID: fmt.Sprint(i), Type: "sh.keptn.event.t.started", Source: "p"}
		v, err := ts.Admit(t.Context(), "b", "", e, uint64(i+1))
		require.NoError(t, err)
		require.Equal(t, bridge.Pass, v.Do)
	}
	require.Less(t, time.Since(begin), time.Second)
}

// TestAnswerToATaskThatWasOver: a second plane of a stamp starts when the first
// one is done. Its .finished is held for a moment, and not for ever.
func TestAnswerToATaskThatWasOver(t *testing.T) {
	ts := newTasks(t, &fickle{})
	task := complete(all("b", "c"))
	task.Asked = time.Now()
	run(t, task, "b+", "c+", "b-", "c-")
	task.LastStart = start
	require.True(t, task.Over())
	require.NoError(t, ts.save(t.Context(), []*Task{task}))
	admit := func(kind string, seq uint64) bridge.Do {
		e := &bridge.Event{ID: kind, TriggeredID: "1", Type: "sh.keptn.event.t." + kind, Source: "second"}
		v, err := ts.Admit(t.Context(), "b", "", e, seq)
		require.NoError(t, err)
		require.NoError(t, ts.Commit(t.Context()))
		return v.Do
	}
	require.Equal(t, bridge.Pass, admit("started", 7))
	require.Equal(t, bridge.Hold, admit("finished", 8))
	ts.look(t.Context(), time.Now().Add(gap))
	require.Equal(t, []uint64{8}, ts.Take())
}

// TestTaskIsPublishedAgain: the same event once more while it is answered, and
// when it was over. The task stays the one it was, and does not stay open.
func TestTaskIsPublishedAgain(t *testing.T) {
	ts := newTasks(t, &fickle{})
	ts.CaughtUp()
	again := func() {
		g := given("1", topology.StageRule{Name: "r", Deliver: topology.DeliverAll}, time.Now())
		g.Decision.Targets, g.Decision.Candidates = g.Decision.Candidates, nil
		stored := make(chan struct{})
		require.NoError(t, ts.Give(t.Context(), g, func() { close(stored) }))
		<-stored
	}
	again()
	admit := func(kind string) {
		e := &bridge.Event{ID: kind, TriggeredID: "1", Type: "sh.keptn.event.t." + kind, Source: "p"}
		_, err := ts.Admit(t.Context(), "b", "", e, 1)
		require.NoError(t, err)
		require.NoError(t, ts.Commit(t.Context()))
	}
	var wg sync.WaitGroup
	wg.Go(again)
	admit("started")
	wg.Wait()
	admit("finished")
	require.Empty(t, ts.List(1))
	again()
	require.Empty(t, ts.List(1), "its stamp has the event, and will not answer again")
}

// TestUnreachedStampIsNotWaitedFor: the event became a dead letter while its
// stamp was out of the topology, and the stamp is back before a look at the task.
func TestUnreachedStampIsNotWaitedFor(t *testing.T) {
	ts := newTasks(t, &fickle{})
	g := given("1", topology.StageRule{Name: "r", Deliver: topology.DeliverAll}, time.Now())
	g.Decision = bridge.Decision{Rule: g.Decision.Rule, Targets: []bridge.Target{{Stamp: "a"}, {Stamp: "b"}}}
	require.ErrorIs(t, ts.Unreached(t.Context(), "1", "b", 0), errNotCaughtUp)
	require.NoError(t, ts.Give(t.Context(), g, func() {}))
	admit := func(kind string, seq uint64) bridge.Do {
		e := &bridge.Event{ID: kind, TriggeredID: "1", Type: "sh.keptn.event.t." + kind, Source: "p"}
		v, err := ts.Admit(t.Context(), "a", "", e, seq)
		require.NoError(t, err)
		require.NoError(t, ts.Commit(t.Context()))
		return v.Do
	}
	require.Equal(t, bridge.Pass, admit("started", 1))
	require.Equal(t, bridge.Hold, admit("finished", 2))
	ts.look(t.Context(), time.Now().Add(gap))
	require.Empty(t, ts.Take())

	require.NoError(t, ts.Unreached(t.Context(), "1", "b", 0))
	require.NoError(t, ts.load(t.Context())) // it is stored
	ts.Take()
	require.Equal(t, bridge.Hold, admit("finished", 2))
	ts.look(t.Context(), time.Now().Add(gap))
	require.Equal(t, []uint64{2}, ts.Take())
	ts.open["1"].LastStart = start
	require.Equal(t, bridge.Pass, admit("finished", 2))
	require.Empty(t, ts.List(1))
	ts.CaughtUp()
	require.NoError(t, ts.Unreached(t.Context(), "1", "b", 0), "it is over")
	require.NoError(t, ts.Unreached(t.Context(), "2", "b", 0), "of nobody")
}

// TestUnreachedStampThatAnswers: only the word of its having the event was lost.
func TestUnreachedStampThatAnswers(t *testing.T) {
	knows := func(topology.StampID) bool { return true }
	task := complete(all("b", "c"))
	require.True(t, task.Unreached("c", 0))
	run(t, task, "c+")
	orders, changed := task.Left(knows)
	require.Empty(t, orders)
	require.False(t, changed)

	turned := one("b", "c")
	to, ok := turned.Offer(at(0), nobody)
	require.True(t, ok)
	require.False(t, turned.Unreached(to, turned.Turn.Attempt+1), "of another attempt")
	_, changed = turned.Claim(to, turned.Turn.Attempt, at(0))
	require.True(t, changed)
	require.False(t, turned.Unreached(to, turned.Turn.Attempt), "it has leave")
}
