package task

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func all(stamps ...topology.StampID) *Task {
	t := &Task{ID: "1", Type: "sh.keptn.event.t.triggered", Rule: "r", Deliver: topology.DeliverAll, Asked: start}
	for _, s := range stamps {
		t.Seats = append(t.Seats, &Seat{Stamp: s, State: Asked})
	}
	return t
}

// A script says who answers what, one word an answer: "b+" is a .started of
// stamp b, "b-" its .finished, "b~" its progress, "b!" that it has no plane. A digit tells a second
// plane, a prime a second answer with another id: "b2+", "b+'".
func run(t *testing.T, task *Task, words ...string) (verdicts []string) {
	t.Helper()
	now := start
	for i, w := range words {
		now = now.Add(time.Second)
		stamp := topology.StampID(w[:1])
		a := Answer{Stamp: stamp, Source: "plane-of-" + w[:1], Seq: uint64(i + 1)}
		rest := w[1:]
		if rest[0] == '2' {
			a.Source += "-2"
			rest = rest[1:]
		}
		a.Key = bridge.Key(a.Source + rest)
		switch rest[0] {
		case '+':
			a.Kind = KindStarted
		case '-':
			a.Kind = KindFinished
		case '~':
			a.Kind = KindOther
		case '!':
			task.Decline(stamp)
			verdicts = append(verdicts, "declined")
			continue
		}
		v := task.Answer(a, now)
		verdicts = append(verdicts, []string{"pass", "hold", string(v.Reason), "drop"}[v.Do])
	}
	return verdicts
}

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		stamps []topology.StampID
		words  []string
		want   []string
	}{
		"one stamp":             {[]topology.StampID{"b"}, []string{"b+", "b-"}, []string{"pass", "pass"}},
		"not asked":             {[]topology.StampID{"b"}, []string{"c+", "c-"}, []string{"not-asked", "not-asked"}},
		"swapped":               {[]topology.StampID{"b"}, []string{"b-", "b+"}, []string{"pass", "pass"}},
		"started twice":         {[]topology.StampID{"b"}, []string{"b+", "b+'", "b-"}, []string{"pass", "repeated", "pass"}},
		"the same again":        {[]topology.StampID{"b"}, []string{"b+", "b+", "b-", "b-"}, []string{"pass", "pass", "pass", "pass"}},
		"finished twice":        {[]topology.StampID{"b"}, []string{"b+", "b-", "b-'"}, []string{"pass", "pass", "repeated"}},
		"two planes":            {[]topology.StampID{"b"}, []string{"b+", "b2+", "b-", "b2-"}, []string{"pass", "pass", "pass", "pass"}},
		"fast stamp waits":      {[]topology.StampID{"b", "c"}, []string{"b+", "b-", "c+", "b-", "c-"}, []string{"pass", "hold", "pass", "pass", "pass"}},
		"both started":          {[]topology.StampID{"b", "c"}, []string{"b+", "c+", "b-", "c-"}, []string{"pass", "pass", "pass", "pass"}},
		"one has no plane":      {[]topology.StampID{"b", "c"}, []string{"b+", "b-", "c!", "b-"}, []string{"pass", "hold", "declined", "pass"}},
		"progress is not held":  {[]topology.StampID{"b", "c"}, []string{"b+", "b~", "b-"}, []string{"pass", "pass", "hold"}},
		"finished before start": {[]topology.StampID{"b", "c"}, []string{"b-", "b+", "c+", "b-"}, []string{"hold", "pass", "pass", "pass"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, run(t, all(tc.stamps...), tc.words...))
		})
	}
}

func TestFinishedKeepsItsDistance(t *testing.T) {
	task := all("b", "c")
	task.Answer(Answer{Stamp: "b", Source: "b", Kind: KindStarted, Key: "1"}, start)
	task.Answer(Answer{Stamp: "c", Source: "c", Kind: KindStarted, Key: "2"}, start)
	f := Answer{Stamp: "b", Source: "b", Kind: KindFinished, Key: "3", Seq: 3}
	require.Equal(t, bridge.Hold, task.Answer(f, start.Add(gap-1)).Do)
	require.Equal(t, bridge.Pass, task.Answer(f, start.Add(gap)).Do)
}

// orders answers as the engine would, after they went through RW_IN.
func fulfil(t *testing.T, task *Task, orders []Order, now time.Time) (verdicts []bridge.Do) {
	t.Helper()
	for _, o := range orders {
		all, err := task.write(o, now)
		require.NoError(t, err)
		for _, w := range all {
			e, err := bridge.Parse(w.Type, w.Body)
			require.NoError(t, err, "what we write is what we would accept")
			require.Equal(t, task.ID, e.TriggeredID)
			a := Answer{Stamp: o.Stamp, Ours: true, Source: e.Source, Kind: kindOf(e.Type), Key: e.Key(), Seq: 99}
			verdicts = append(verdicts, task.Answer(a, now).Do)
		}
	}
	return verdicts
}

func complete(task *Task) *Task {
	task.Context, task.Project, task.Stage, task.Service = "k", "p", "s", "v"
	return task
}

func TestDeadlineFail(t *testing.T) {
	task := complete(all("b", "c"))
	task.Deadline, task.OnDeadline = time.Minute, topology.DeadlineFail
	require.Equal(t, []string{"pass", "hold"}, run(t, task, "b+", "b-"))
	orders, changed := task.Due(start.Add(59 * time.Second))
	require.Empty(t, orders)
	require.False(t, changed)
	late := start.Add(time.Minute)
	orders, _ = task.Due(late)
	require.Len(t, orders, 1)
	require.True(t, orders[0].Errored && orders[0].Start)
	require.Equal(t, []bridge.Do{bridge.Pass, bridge.Hold}, fulfil(t, task, orders, late))
	again, _ := task.Due(late.Add(time.Second))
	require.Empty(t, again)
	require.True(t, task.Open(late.Add(gap)))
	require.Equal(t, []string{"late", "late"}, run(t, task, "c+", "c-"))
}

// TestHalfAnAnswerIsFinished: the process stopped between the .started and the
// .finished that it wrote in a stamp's name.
func TestHalfAnAnswerIsFinished(t *testing.T) {
	task := complete(all("b", "c"))
	task.Deadline, task.OnDeadline = time.Minute, topology.DeadlineFail
	require.Equal(t, []string{"pass", "hold"}, run(t, task, "b+", "b-"))
	late := start.Add(time.Minute)
	orders, _ := task.Due(late)
	require.Len(t, orders, 1)
	require.Empty(t, task.Half())
	written, err := task.write(orders[0], late)
	require.NoError(t, err)
	e, err := bridge.Parse(written[0].Type, written[0].Body)
	require.NoError(t, err)
	task.Answer(Answer{Stamp: "c", Ours: true, Source: e.Source, Kind: kindOf(e.Type), Key: e.Key(), Seq: 9}, late)
	again, _ := task.Due(late.Add(time.Second))
	require.Empty(t, again)
	half := task.Half()
	require.Len(t, half, 1)
	require.Equal(t, []bridge.Do{bridge.Pass, bridge.Hold}, fulfil(t, task, half, late))
	require.Empty(t, task.Half())
	require.True(t, task.Open(late.Add(gap)))
}

func TestDeadlineLosesToTheStamp(t *testing.T) {
	task := complete(all("b", "c"))
	task.Deadline, task.OnDeadline = time.Minute, topology.DeadlineFail
	orders, _ := task.Due(start.Add(time.Hour))
	require.Len(t, orders, 2)
	require.Equal(t, []string{"pass"}, run(t, task, "b+")) // stored before our answer
	require.Equal(t, []bridge.Do{bridge.Drop, bridge.Drop}, fulfil(t, task, orders[:1], start.Add(time.Hour)))
	require.Equal(t, Started, task.seat("b").State)
}

func TestDeadlineIgnore(t *testing.T) {
	task := complete(all("b", "c"))
	task.Deadline, task.OnDeadline = time.Minute, topology.DeadlineIgnore
	_, changed := task.Due(start.Add(time.Hour))
	require.False(t, changed, "nobody has started: nothing to go on with")
	run(t, task, "b+", "b-")
	orders, changed := task.Due(start.Add(time.Hour))
	require.Empty(t, orders)
	require.True(t, changed)
	require.True(t, task.Open(start.Add(time.Hour)))
}

// TestRemovedStampIsNotWaitedFor: a stamp leaves the topology with the task.
func TestRemovedStampIsNotWaitedFor(t *testing.T) {
	without := func(gone topology.StampID) func(topology.StampID) bool {
		return func(s topology.StampID) bool { return s != gone }
	}
	task := complete(all("b", "c"))
	run(t, task, "b+", "b-")
	orders, changed := task.Left(without("c"))
	require.Empty(t, orders)
	require.True(t, changed)
	require.True(t, task.Open(start.Add(time.Hour)))

	task = complete(all("b", "c"))
	run(t, task, "b+", "b-", "c+")
	orders, changed = task.Left(without("c"))
	require.False(t, changed)
	require.Len(t, orders, 1)
	require.Equal(t, []bridge.Do{bridge.Pass}, fulfil(t, task, orders, start.Add(time.Hour)))

	task = complete(all("b", "c"))
	run(t, task, "b+", "b-")
	orders, changed = task.Left(without("b"))
	require.Empty(t, orders, "it has finished, and c has not started")
	require.False(t, changed)

	task = complete(all("b"))
	orders, _ = task.Left(without("b"))
	require.Equal(t, []bridge.Do{bridge.Pass, bridge.Pass}, fulfil(t, task, orders, start.Add(time.Hour)))
	require.True(t, task.Over())
}

func TestDeadlineOfAStampThatStarted(t *testing.T) {
	task := complete(all("b", "c"))
	task.Deadline, task.OnDeadline = time.Minute, topology.DeadlineFail
	run(t, task, "b+", "c+")
	orders, _ := task.Due(start.Add(time.Hour))
	require.Empty(t, orders, "both still run: nobody waits")
	now := start.Add(2 * time.Hour)
	require.Equal(t, bridge.Pass, task.Answer(Answer{Stamp: "b", Source: "plane-of-b", Kind: KindFinished, Key: "x"}, now).Do)
	orders, _ = task.Due(now.Add(59 * time.Second))
	require.Empty(t, orders)
	orders, _ = task.Due(now.Add(time.Minute))
	require.Len(t, orders, 1)
	require.False(t, orders[0].Start)
	require.Equal(t, []bridge.Do{bridge.Pass}, fulfil(t, task, orders, now.Add(time.Minute)))
	require.True(t, task.Over())
}

// shipyard ends a task when as many finished as started (contract §4.6).
type shipyard struct{ started, finished int }

func (s *shipyard) take(k Kind) {
	switch k {
	case KindStarted:
		s.started++
	case KindFinished:
		s.finished++
	}
}

func (s *shipyard) done() bool { return s.started > 0 && s.started == s.finished }

// TestBarrierNeverEndsEarlyNorHangs feeds answers in thousands of random orders,
// with stamps that have no plane, answer twice or never, and restarts of ours,
// to a model of shipyard-controller's accounting.
func TestBarrierNeverEndsEarlyNorHangs(t *testing.T) {
	for seed := range uint64(5000) {
		r := newTrial(t, seed)
		for range 300 {
			r.step()
		}
		r.check()
	}
}

// A trial is one random run of a task.
type trial struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	task *Task
	ship shipyard
	now  time.Time
	seq  uint64
	held []Answer
	todo map[topology.StampID][]string // what each stamp still sends
}

func newTrial(t *testing.T, seed uint64) *trial {
	r := &trial{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: start, todo: map[topology.StampID][]string{}}
	stamps := []topology.StampID{"b", "c", "d", "e"}[:2+r.rng.IntN(3)]
	r.task = complete(all(stamps...))
	r.task.Deadline, r.task.OnDeadline = time.Minute, topology.DeadlineFail
	for i, s := range stamps {
		kinds := 8 - min(i, 1) // of two that run for ever neither waits for the other
		r.todo[s] = [][]string{{"+", "-"}, {"+", "-"}, {"+", "+'", "-"}, {"+", "-", "-'"}, {"!"}, {}, {"+", "~", "-"}, {"+"}}[r.rng.IntN(kinds)]
	}
	return r
}

// see gives an answer to the task, and to shipyard what passes.
func (r *trial) see(a Answer) {
	switch r.task.Answer(a, r.now).Do {
	case bridge.Pass:
		r.ship.take(a.Kind)
	case bridge.Hold:
		r.held = append(r.held, a)
	}
	if !r.ship.done() {
		return
	}
	for _, s := range r.task.Seats {
		require.NotEqual(r.t, Asked, s.State, "seed %d: ended before stamp %s started", r.seed, s.Stamp)
	}
}

func (r *trial) seeAgain() {
	again := r.held
	r.held, r.task.held = nil, nil
	for _, a := range again {
		r.see(a)
	}
}

// step lets a second pass, and one stamp say its next word.
func (r *trial) step() {
	r.now = r.now.Add(time.Second)
	s := r.task.Seats[r.rng.IntN(len(r.task.Seats))].Stamp
	if q := r.todo[s]; len(q) > 0 {
		r.todo[s] = q[1:]
		r.seq++
		if q[0] == "!" {
			r.task.Decline(s)
		} else {
			kind := map[byte]Kind{'+': KindStarted, '-': KindFinished, '~': KindOther}[q[0][0]]
			r.see(Answer{Stamp: s, Source: string(s), Kind: kind, Key: bridge.Key(fmt.Sprint(s, q[0])), Seq: r.seq})
		}
	}
	if r.rng.IntN(10) == 0 { // our restart: what is held comes again
		restarted := r.task.clone()
		r.task = &restarted
		r.seeAgain()
	}
	r.deadline()
	if r.task.Open(r.now) {
		r.seeAgain()
	}
}

func (r *trial) deadline() {
	orders, _ := r.task.Due(r.now)
	for _, o := range orders {
		all, err := r.task.write(o, r.now)
		require.NoError(r.t, err)
		for _, w := range all {
			r.seq++
			r.see(Answer{Stamp: o.Stamp, Ours: true, Source: o.Source, Kind: kindOf(w.Type), Key: bridge.KeyOf(w.ID, w.Type, w.Type), Seq: r.seq})
		}
	}
}

func (r *trial) check() {
	absent := 0
	for _, s := range r.task.Seats {
		if s.State == Declined {
			absent++
		}
	}
	require.True(r.t, r.task.Over(), "seed %d: the task is never over", r.seed)
	if absent < len(r.task.Seats) {
		require.True(r.t, r.ship.done(), "seed %d: shipyard waits for ever: %+v", r.seed, r.ship)
	}
	require.GreaterOrEqual(r.t, r.ship.started, len(r.task.Seats)-absent, "seed %d: a stamp's answer is missing", r.seed)
}

// TestRemovedStampIsNotOffered: it would be a dead letter each time.
func TestRemovedStampIsNotOffered(t *testing.T) {
	task := one("b", "c")
	knows := func(s topology.StampID) bool { return s == "c" }
	now := start
	for range 20 {
		now = now.Add(time.Minute)
		task.Left(knows)
		if to, ok := task.Offer(now, nobody); ok {
			require.EqualValues(t, "c", to)
		}
	}
	require.Greater(t, task.Turn.Attempt, 5)
}
