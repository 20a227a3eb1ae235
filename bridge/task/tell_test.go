package task

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// only returns a function that is true for some stamps.
func only(stamps ...topology.StampID) func(topology.StampID) bool {
	return func(is topology.StampID) bool {
		for _, s := range stamps {
			if s == is {
				return true
			}
		}
		return false
	}
}

// TestWhatWaitsForAStamp: Keptn is told of tasks that nobody has started, and
// only if it is a stamp out of reach that they wait for.
func TestWhatWaitsForAStamp(t *testing.T) {
	begun := all("b", "c")
	begun.Answer(Answer{Stamp: "b", Source: "b", Kind: KindStarted, Key: "1"}, start)
	told := all("b")
	told.told = true
	unreached := all("b")
	unreached.Seats[0].Unreached = true
	offered := one("b", "c")
	to, ok := offered.Offer(start, nobody)
	require.True(t, ok)
	require.EqualValues(t, "b", to)
	for name, c := range map[string]struct {
		task   *Task
		silent func(topology.StampID) bool
		want   topology.StampID
	}{
		"away":               {all("b"), only("b"), "b"},
		"there":              {all("b"), nobody, ""},
		"one of two away":    {all("b", "c"), only("c"), "c"},
		"another has begun":  {begun, only("c"), ""},
		"told before":        {told, only("b"), ""},
		"never gets there":   {unreached, only("b"), ""},
		"any, not all away":  {one("b", "c"), only("c"), ""},
		"any, all away":      {one("b", "c"), only("b", "c"), "b"},
		"any, and it has it": {offered, only("b"), "b"},
		"any, another away":  {offered, only("c"), ""},
	} {
		require.Equal(t, c.want, c.task.waits(start, c.silent), name)
		require.Empty(t, c.task.waits(start.Add(-1), c.silent), name)
	}
}

// TestTellsOfAFrozenStamp: an operator has it hold the task, and Keptn would give
// it up.
func TestTellsOfAFrozenStamp(t *testing.T) {
	ts := newTasks(t, &fickle{})
	ts.CaughtUp()
	ts.cfg.Frozen, ts.cfg.TellAfter = only("b"), time.Minute
	js, err := jetstream.New(ts.cfg.Fed)
	require.NoError(t, err)
	in, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "RW_IN", Subjects: []string{bridge.EventsFor("a")}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
	})
	require.NoError(t, err)
	g := given("1", topology.StageRule{Name: "r"}, time.Now().Add(-time.Hour))
	g.Decision.Candidates, g.Decision.Targets = nil, []bridge.Target{{Stamp: "b"}}
	require.NoError(t, ts.Give(t.Context(), g, func() {}))
	ts.tell(t.Context(), time.Now())
	m, err := in.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), "stamp b is frozen by an operator; the task waits for it")
}

// TestTellsOnce: what is written is good, changes nothing of the task, and is not
// delivered when the stamp was faster.
func TestTellsOnce(t *testing.T) {
	ts := newTasks(t, &fickle{})
	ts.CaughtUp()
	ts.cfg.Silent, ts.cfg.TellAfter = only("b"), time.Minute
	js, err := jetstream.New(ts.cfg.Fed)
	require.NoError(t, err)
	in, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "RW_IN", Subjects: []string{bridge.EventsFor("a")}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
	})
	require.NoError(t, err)
	g := given("1", topology.StageRule{Name: "r"}, time.Now().Add(-time.Hour))
	g.Decision.Candidates, g.Decision.Targets = nil, []bridge.Target{{Stamp: "b"}}
	require.NoError(t, ts.Give(t.Context(), g, func() {}))
	now := time.Now()
	ts.tell(t.Context(), now)
	ts.tell(t.Context(), now.Add(time.Hour))
	info, err := in.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, info.State.Msgs)
	m, err := in.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	e, err := bridge.Parse("sh.keptn.event.t.status.changed", m.Data)
	require.NoError(t, err)
	require.Equal(t, "1", e.TriggeredID)
	require.Equal(t, "ringway/b", e.Source)
	v, err := ts.Admit(t.Context(), "a", "b", e, 1)
	require.NoError(t, err)
	require.Equal(t, bridge.Pass, v.Do)
	require.Equal(t, Asked, ts.List(1)[0].Seats[0].State)
	answer := func(kind string) bridge.Verdict {
		v, err := ts.Admit(t.Context(), "b", "", &bridge.Event{ID: kind, Type: "sh.keptn.event.t." + kind, Source: "helm", TriggeredID: "1"}, 2)
		require.NoError(t, err)
		return v
	}
	require.Equal(t, bridge.Pass, answer("started").Do)
	v, err = ts.Admit(t.Context(), "a", "b", e, 1)
	require.NoError(t, err)
	require.Equal(t, bridge.Drop, v.Do)
	require.Equal(t, bridge.Pass, answer("finished").Do)
	require.NoError(t, ts.Commit(t.Context()))
	v, err = ts.Admit(t.Context(), "a", "b", e, 1)
	require.NoError(t, err)
	require.Equal(t, bridge.Drop, v.Do, "also of a task that is over")
}
