package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An Offer is a task on its way to the one stamp that it is offered to.
type Offer struct {
	To      topology.StampID
	Subject string // of the event
	Key     bridge.Key
	Context string // shkeptncontext
	Hop     uint64
	At      time.Time // when it was captured
	Body    []byte
	Rule    string
	Within  time.Duration
	Attempt int
	ID      string // of the event
}

// DeadLetters keeps events that cannot go on. Put returns once the letter is
// stored.
type DeadLetters interface {
	Put(ctx context.Context, l bridge.Letter) error
}

// Config is what Tasks needs. All fields but Metrics and those with a default
// are required.
type Config struct {
	Me     topology.StampID
	Relay  *nats.Conn // account RELAY of the local server, with JetStream
	Fed    *nats.Conn // account FED of the local server, with JetStream
	Router func() *bridge.Router
	Send   func(context.Context, Offer) error // puts an offer on its way
	Away   func(topology.StampID) bool        // whether a stamp does not answer
	// Silent reports whether nothing gets through to a stamp, also if nothing is
	// being sent to it. nil is Away.
	Silent func(topology.StampID) bool
	// Frozen reports whether an operator has a stamp hold tasks. Such a stamp is
	// asked after the others, and Keptn is told of what waits for it. nil is never.
	Frozen func(topology.StampID) bool
	// TellAfter is after what time Keptn is told that a task waits for a stamp that
	// is Silent; 0 is never.
	TellAfter time.Duration
	// LetGo reports whether no plane of this stamp has answered a task of
	// another stamp, or will, and lets go of it.
	LetGo       func(ctx context.Context, triggered string) bool
	DeadLetters DeadLetters
	Journal     bridge.Scribe // is told what becomes of tasks; nil: nobody is
	MaxWait     time.Duration // how long a task without deadline may look for a stamp; 0 is 72 h
	Replicas    int           // of the stream; 0 is 1
	Log         *slog.Logger
	Metrics     prometheus.Registerer
}

// Tasks follows the tasks of one stamp. Its methods are safe for concurrent
// use.
type Tasks struct {
	cfg     Config
	metrics *metrics
	wake    chan struct{} // one place: something was released
	stirred chan struct{} // one place: a task is watched

	noteWake chan struct{} // one place: there are notes

	tellAt time.Time // when to look for tasks that wait; of Run alone

	wg sync.WaitGroup // of what waits for a store

	mu       sync.Mutex // guards the following fields
	store    *store
	open     map[string]*Task     // by id of the .triggered event; further ones are asleep
	asleep   *sleepers            // the tasks that nobody has asked for since they were noted
	watched  map[string]time.Time // of them those that time changes; when to look again
	dirty    map[string]*Task     // changed and not stored
	nHeld    int                  // answers that tasks hold
	over     map[string]struct{}  // ids of the tasks that were over last
	overIDs  []string             // the same, oldest first
	notes    []note               // to be stored together
	encoder  encoder              // of them
	thinned  map[*batch]struct{}  // batches to be rewritten
	unsure   map[string]struct{}  // ids that batches of an earlier process name, to be checked
	orders   map[string]time.Time // ids of answers we wrote, and when
	strays   []uint64             // answers to tasks that are not known yet
	released []uint64             // answers that may be looked at again
	router   *bridge.Router       // by which removed stamps were last looked for
	caughtUp bool                 // every task given before the start is known
}

// New checks cfg and returns Tasks that know nothing until Run.
func New(cfg Config) (*Tasks, error) {
	switch {
	case cfg.Me == "":
		return nil, errors.New("task: no stamp")
	case cfg.Relay == nil || cfg.Fed == nil:
		return nil, errors.New("task: no connection")
	case cfg.Router == nil || cfg.Send == nil || cfg.Away == nil || cfg.LetGo == nil || cfg.DeadLetters == nil || cfg.Log == nil:
		return nil, errors.New("task: no router, sender, dead letters or log")
	}
	if cfg.MaxWait == 0 {
		cfg.MaxWait = 72 * time.Hour
	}
	if cfg.Frozen == nil {
		cfg.Frozen = func(topology.StampID) bool { return false }
	}
	if cfg.Silent == nil {
		cfg.Silent = cfg.Away
	}
	return &Tasks{
		cfg: cfg, metrics: newMetrics(cfg.Metrics), wake: make(chan struct{}, 1), stirred: make(chan struct{}, 1), noteWake: make(chan struct{}, 1),
		asleep: newSleepers(), over: map[string]struct{}{},
	}, nil
}

// Run follows tasks until ctx is cancelled. It calls ready once those that an
// earlier process left are known. It may be called again after it has returned.
func (ts *Tasks) Run(ctx context.Context, ready func()) error {
	if err := ts.load(ctx); err != nil {
		return err
	}
	sub, err := ts.cfg.Fed.Subscribe(bridge.CtlSubject(ts.cfg.Me, "*", "ask.*"), func(m *nats.Msg) { ts.asked(ctx, m) })
	if err != nil {
		return fmt.Errorf("subscribe questions: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	defer ts.wg.Wait()
	ts.wg.Go(func() { ts.keepNotes(ctx) })
	ready()
	pace := tick
	clock := time.NewTicker(pace)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ts.stirred:
			if pace != tick {
				pace = tick
				clock.Reset(pace)
			}
		case now := <-clock.C:
			ts.check(ctx)
			ts.look(ctx, now)
			ts.tell(ctx, now)
			ts.compact(ctx)
			if every := ts.pace(); every != pace {
				pace = every
				clock.Reset(pace)
			}
		}
	}
}

// load reads what an earlier process left.
func (ts *Tasks) load(ctx context.Context) error {
	s, err := openStore(ctx, ts.cfg.Relay, ts.cfg.Replicas)
	if err != nil {
		return err
	}
	left, noted, err := s.open(ctx)
	if err != nil {
		return err
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	// What was held before a part of this process began anew comes again.
	again := ts.strays
	for _, t := range ts.open {
		again = append(again, slices.Collect(maps.Keys(t.held))...)
	}
	ts.store = s
	ts.open, ts.watched, ts.dirty = map[string]*Task{}, map[string]time.Time{}, map[string]*Task{}
	ts.asleep = newSleepers()
	ts.nHeld = 0
	ts.orders, ts.strays, ts.router = map[string]time.Time{}, nil, nil
	ts.release(again...)
	now := time.Now()
	for _, t := range left {
		t.mend(now)
		ts.keep(t)
	}
	ts.loadNoted(noted)
	return nil
}

// loadNoted takes over what batches say of tasks that have no message of their
// own under way. They may be over, which is found out before it matters. What an
// earlier run did not get to store is stored now. The caller holds mu.
func (ts *Tasks) loadNoted(tasks []*Task) {
	ts.thinned, ts.unsure = map[*batch]struct{}{}, map[string]struct{}{}
	for _, t := range tasks {
		if ts.open[t.ID] != nil { // also by a batch that was stored twice
			ts.leave(t)
			continue
		}
		ts.unsure[t.ID] = struct{}{}
		ts.keep(t)
	}
	ts.notes = slices.DeleteFunc(ts.notes, func(n note) bool { return n.ended() != nil })
	for _, n := range ts.notes {
		switch ts.open[n.task.ID] {
		case n.task:
		case nil:
			if !n.task.noted {
				ts.keep(n.task)
			}
		default:
			n.task.noted = true // its batch was stored after all, and is read
		}
	}
}

// maxOver is of how many tasks that are over it is known without asking the
// stream, so that one which is published again does not begin anew.
const maxOver = 1 << 16

// keep remembers an open task. The caller holds mu.
func (ts *Tasks) keep(t *Task) {
	ts.open[t.ID] = t
	if t.Turn != nil || t.Deadline > 0 {
		ts.watch(t.ID, time.Time{})
	}
	ts.metrics.open.Set(float64(ts.nOpen()))
}

// drop forgets a task that is over. The caller holds mu.
func (ts *Tasks) drop(id string) {
	if _, known := ts.over[id]; !known {
		id := strings.Clone(id) // it may be part of an answer
		ts.over[id], ts.overIDs = struct{}{}, append(ts.overIDs, id)
	}
	if len(ts.overIDs) > maxOver {
		delete(ts.over, ts.overIDs[0])
		ts.overIDs = ts.overIDs[1:]
	}
	delete(ts.open, id)
	delete(ts.watched, id)
	ts.metrics.open.Set(float64(ts.nOpen()))
}

// CaughtUp says that every task given before the start is known, so that an
// answer to any other is refused from now on.
func (ts *Tasks) CaughtUp() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.caughtUp = true
	ts.release(ts.strays...)
	ts.strays = nil
}

// release lets answers be looked at again. The caller holds mu.
func (ts *Tasks) release(seqs ...uint64) {
	if len(seqs) == 0 {
		return
	}
	ts.released = append(ts.released, seqs...)
	select {
	case ts.wake <- struct{}{}:
	default:
	}
}

// Wake receives when there is something to Take.
func (ts *Tasks) Wake() <-chan struct{} { return ts.wake }

// Take returns the answers, by sequence in RW_IN, that were held and are to be
// admitted again.
func (ts *Tasks) Take() []uint64 {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	out := ts.released
	ts.released = nil
	return out
}
