package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// DeadLetters keeps events that cannot go on. Put returns once the letter is
// stored.
type DeadLetters interface {
	Put(ctx context.Context, l bridge.Letter) error
}

// Tasks takes note of the tasks that a control plane of this stamp gives to
// others. Of an event with candidates it takes over; of one with targets the
// event is kept here until stored was called, too.
type Tasks interface {
	Give(ctx context.Context, g *bridge.Given, stored func()) error
	// Unreached takes note that a task has become a dead letter on its way to a
	// stamp, in an attempt if it was offered, and returns once that is stored.
	Unreached(ctx context.Context, triggered string, to topology.StampID, attempt int) error
	// CaughtUp says that everything captured before the start was read.
	CaughtUp()
}

// Planes is told what the planes of this stamp answer.
type Planes interface {
	// Answered takes note that a plane answered a task.
	Answered(triggered string)
	// AfterCommit calls then once that is stored.
	AfterCommit(then func())
}

// Config is what an Outbox needs. Fields are required unless they say otherwise.
type Config struct {
	Me     topology.StampID
	Relay  *nats.Conn            // account RELAY of the local server, with JetStream
	Fed    *nats.Conn            // account FED of the local server
	Router func() *bridge.Router // the current one; called for each event
	// Eras and State, the name of stream RW_STATE, let what is under way at a
	// restart go where it would have gone. nil: the Router decides anew.
	Eras        Eras
	State       string
	DeadLetters DeadLetters   // where refused events go
	Tasks       Tasks         //
	Planes      Planes        // nil: nobody wants to know
	Sinks       []bridge.Sink // get a copy of what they want; nil: none
	Order       Order         // nil: that of RW_OUT
	// GivenBy returns the stamp that sent this one the task with a key; empty if
	// there is none. nil: nobody knows.
	GivenBy func(task bridge.Key) topology.StampID

	Trace   bridge.Tracer // nil: nothing is traced
	Journal bridge.Scribe // is told of the way of each event; nil: nobody is
	// Packs reports whether a stamp reads several events in one message. nil: none
	// does.
	Packs      func(stamp topology.StampID) bool
	AckTimeout time.Duration         // how long a target may take to store an event; 0 is 2 s
	Replicas   int                   // of the streams; 0 is 1
	Log        *slog.Logger          //
	Metrics    prometheus.Registerer // nil makes metrics that nobody sees
}

// An Outbox forwards the events of one stamp. Its methods are safe for
// concurrent use.
type Outbox struct {
	cfg      Config
	js       jetstream.JetStream
	hold     *hold
	metrics  *metrics
	ready    chan struct{} // closed when RW_OUT exists
	openOnce sync.Once

	mu      sync.RWMutex // guards the following fields
	lanes   map[topology.StampID]*lane
	running context.Context //nolint:containedctx // of Run; lanes are started by whoever has an event for them
	routing *routing        // of Run; nil: it does not

	answered answeredSet
	readTo   atomic.Uint64 // everything captured up to here was read

	wg sync.WaitGroup
}

// New checks cfg and returns an Outbox that does nothing until Run.
func New(cfg Config) (*Outbox, error) {
	switch {
	case cfg.Me == "":
		return nil, errors.New("outbox: no stamp")
	case cfg.Relay == nil || cfg.Fed == nil:
		return nil, errors.New("outbox: no connection")
	case cfg.Router == nil || cfg.DeadLetters == nil || cfg.Tasks == nil || cfg.Log == nil:
		return nil, errors.New("outbox: no router, dead letters, tasks or log")
	}
	if cfg.AckTimeout == 0 {
		cfg.AckTimeout = 2 * time.Second
	}
	cfg.Replicas = max(cfg.Replicas, 1)
	js, err := jetstream.New(cfg.Relay, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &Outbox{
		cfg: cfg, js: js, metrics: newMetrics(cfg.Metrics),
		ready: make(chan struct{}), lanes: map[topology.StampID]*lane{},
	}, nil
}

// askTimeout is how long an answer of JetStream is waited for. Where a stamp
// has replicas, the one that should answer may be gone, and asking the next is
// sooner than waiting.
const askTimeout = time.Second

// heartbeat is how often the server says that a consumer is alive, where it may
// move from one replica to another.
const heartbeat = 500 * time.Millisecond

// Run forwards until ctx is cancelled. It calls ready once events are being
// read, and returns when every goroutine it started has ended. It may be
// called again after it has returned.
func (o *Outbox) Run(ctx context.Context, ready func()) error {
	o.reset()
	ctx, cancel := context.WithCancel(ctx)
	defer o.wg.Wait()
	defer o.reset()
	defer cancel()
	out, err := o.open(ctx)
	if err != nil {
		return err
	}
	acks, err := o.cfg.Fed.Subscribe(bridge.AcksFor(o.cfg.Me), func(m *nats.Msg) { o.onAck(ctx, m) })
	if err != nil {
		return fmt.Errorf("subscribe acks: %w", err)
	}
	defer func() { _ = acks.Unsubscribe() }() // the connection may be closed already
	o.mu.Lock()
	o.running = ctx
	o.mu.Unlock()
	held, err := o.hold.targets(ctx)
	if err != nil {
		return err
	}
	for target, n := range held {
		o.startLane(target, n)
	}
	r, err := o.newReader(ctx, out)
	if err != nil {
		return err
	}
	defer func() { r.stop() }() // of the last consumer
	ready()
	return r.run(ctx)
}

// reset forgets what an earlier run had in hand: it is still in the streams.
func (o *Outbox) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lanes, o.running, o.routing = map[topology.StampID]*lane{}, nil, nil
	o.answered.caughtUp(false)
	o.readTo.Store(0)
}

// open makes the streams.
func (o *Outbox) open(ctx context.Context) (out jetstream.Stream, err error) {
	if out, err = openOut(ctx, o.js, o.cfg.Router(), o.cfg.Replicas); err != nil {
		return nil, err
	}
	if o.hold, err = openHold(ctx, o.cfg.Me, o.js, o.cfg.Replicas); err != nil {
		return nil, err
	}
	o.openOnce.Do(func() { close(o.ready) })
	return out, nil
}

// Recapture makes the server capture the subjects of the current Router's
// custom routes. Call it when the Router has changed.
func (o *Outbox) Recapture(ctx context.Context) error {
	select {
	case <-o.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := openOut(ctx, o.js, o.cfg.Router(), o.cfg.Replicas)
	return err
}

// startLane returns the lane of target, which is started at its first event;
// nil if the outbox does not run.
func (o *Outbox) startLane(target topology.StampID, held uint64) *lane {
	o.mu.RLock()
	l := o.lanes[target]
	o.mu.RUnlock()
	if l != nil {
		return l
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ctx := o.running
	if l := o.lanes[target]; l != nil || ctx == nil || ctx.Err() != nil {
		return l
	}
	l = newLane(o, target, held)
	o.lanes[target] = l
	o.wg.Go(func() { l.run(ctx) })
	return l
}
