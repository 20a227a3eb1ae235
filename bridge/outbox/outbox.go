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
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/internal/jstream"
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

// Config is what an Outbox needs. All fields but Metrics are required.
type Config struct {
	Me          topology.StampID
	Relay       *nats.Conn            // account RELAY of the local server, with JetStream
	Fed         *nats.Conn            // account FED of the local server
	Router      func() *bridge.Router // the current one; called for each event
	DeadLetters DeadLetters           // where refused events go
	Tasks       Tasks                 //
	Planes      Planes                // nil: nobody wants to know
	AckTimeout  time.Duration         // how long a target may take to store an event; 0 is 2 s
	Replicas    int                   // of the streams; 0 is 1
	Log         *slog.Logger          //
	Metrics     prometheus.Registerer // nil makes metrics that nobody sees
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

	answered answeredSet
	readTo   atomic.Uint64 // everything captured up to here was read
	before   uint64        // the last that was captured before the start; owned by Run

	busy busySet // sequences of RW_OUT that lanes still have
	wg   sync.WaitGroup
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
const heartbeat = time.Second

// Run forwards until ctx is cancelled. It calls ready once events are being
// read, and returns when every goroutine it started has ended. It may be
// called again after it has returned.
func (o *Outbox) Run(ctx context.Context, ready func()) error {
	o.reset()
	ctx, cancel := context.WithCancel(ctx)
	defer o.wg.Wait()
	defer o.reset()
	defer cancel()
	cons, err := o.open(ctx)
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
	pull := []jetstream.PullMessagesOpt{jetstream.PullMaxMessages(1000)}
	if o.cfg.Replicas > 1 {
		pull = append(pull, jetstream.PullHeartbeat(heartbeat))
	}
	msgs, err := cons.Messages(pull...)
	if err != nil {
		return fmt.Errorf("read %s: %w", StreamOut, err)
	}
	stop := context.AfterFunc(ctx, msgs.Stop)
	defer func() { // also where a failed read ends the run
		stop()
		msgs.Stop()
	}()
	ready()
	return o.read(ctx, msgs, cons.CachedInfo().NumPending)
}

// reset forgets what an earlier run had in hand: it is still in the streams.
func (o *Outbox) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lanes, o.running = map[topology.StampID]*lane{}, nil
	o.answered.caughtUp(false)
	o.readTo.Store(0)
	o.busy.reset()
}

// open makes the streams and a fresh consumer. What a consumer of an earlier
// process left unacknowledged is still in the work queue, so a fresh consumer
// reads it again at once and in order, instead of after its ack wait.
func (o *Outbox) open(ctx context.Context) (jetstream.Consumer, error) {
	js := o.js
	stream, err := jstream.Ensure(ctx, js, outStream(o.cfg.Router(), o.cfg.Replicas))
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", StreamOut, err)
	}
	o.before = stream.CachedInfo().State.LastSeq
	hold, err := openHold(ctx, js, o.cfg.Replicas)
	if err != nil {
		return nil, err
	}
	o.hold = hold
	o.openOnce.Do(func() { close(o.ready) })
	return freshConsumer(ctx, js, StreamOut, jetstream.ConsumerConfig{
		Durable: "router", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 30 * time.Second, MaxAckPending: maxUnsettled,
	})
}

// Recapture makes the server capture the subjects of the current Router's
// custom routes. Call it when the Router has changed.
func (o *Outbox) Recapture(ctx context.Context) error {
	select {
	case <-o.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := o.js.UpdateStream(ctx, outStream(o.cfg.Router(), o.cfg.Replicas)); err != nil {
		return fmt.Errorf("update stream %s: %w", StreamOut, err)
	}
	return nil
}

// read handles what comes. Of it, backlog events were captured before.
func (o *Outbox) read(ctx context.Context, msgs jetstream.MessagesContext, backlog uint64) error {
	var seen deliveries
	for n := uint64(0); ; n++ {
		if n == backlog {
			o.readTo.Store(max(o.before, o.readTo.Load()))
			o.answered.caughtUp(true)
			o.cfg.Tasks.CaughtUp()
		}
		m, err := msgs.Next()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", StreamOut, err)
		}
		if err := seen.next(m); err != nil {
			return fmt.Errorf("read %s: %w", StreamOut, err)
		}
		err = o.handle(ctx, m)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop; the event is still in RW_OUT
		}
		if err != nil {
			// Not settled: the server offers the event again after the ack wait.
			o.cfg.Log.Warn("event not settled, will try again", "err", err)
		}
	}
}

// handle settles one captured event, or hands it to the lanes that will.
func (o *Outbox) handle(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read metadata: %w", err)
	}
	crash.At(crash.OutboxRead)
	seq := meta.Sequence.Stream
	if !o.busy.add(seq) {
		return m.InProgress() // offered again while a lane still has it
	}
	if meta.NumDelivered == 1 {
		o.metrics.captured.Inc()
	}
	ev := o.capture(m, seq, meta.Timestamp)
	ev.fits(len(m.Data()), o.cfg.Fed.MaxPayload())
	if e := ev.event; e != nil && e.Kind == bridge.KindTaskAnswer {
		o.answered.add(e.TriggeredID)
		if o.cfg.Planes != nil {
			o.cfg.Planes.Answered(e.TriggeredID)
		}
	}
	o.readTo.Store(max(seq, o.readTo.Load()))
	if ev.decision.Refused != bridge.ReasonNone {
		defer o.busy.remove(seq)
		return o.refuse(ctx, m, ev)
	}
	return o.dispatch(ctx, m, ev)
}

// refuse puts an event aside and lets it go.
func (o *Outbox) refuse(ctx context.Context, m jetstream.Msg, ev captured) error {
	o.metrics.refused.WithLabelValues(string(ev.decision.Refused)).Inc()
	o.cfg.Log.Debug("event refused", "subject", ev.subject, "reason", ev.decision.Refused)
	err := o.cfg.DeadLetters.Put(ctx, bridge.Letter{
		Side: bridge.SideOut, Reason: ev.decision.Refused, Detail: ev.decision.Tried,
		Subject: ev.subject, From: o.cfg.Me, Key: ev.key, Captured: ev.at, Body: m.Data(),
	})
	if err != nil {
		return err
	}
	return m.Ack()
}

// dispatch gives one copy to the lane of each target. The last lane that is
// done with its copy acknowledges the event.
func (o *Outbox) dispatch(ctx context.Context, m jetstream.Msg, ev captured) error {
	left := newCountdown(func() { o.settle(m, ev) })
	targets := ev.decision.Targets
	if given := ev.given(m.Data()); given != nil {
		left.add(1)
		if err := o.cfg.Tasks.Give(ctx, given, left.done); err != nil {
			o.busy.remove(ev.seq)
			return err
		}
		targets = given.Decision.Targets
	}
	left.add(len(targets))
	defer left.done()
	for _, t := range targets {
		o.metrics.routed.WithLabelValues(string(t.Stamp), t.Rule).Inc()
		l := o.startLane(t.Stamp, 0)
		if l == nil {
			return nil // told to stop; the event is still in RW_OUT
		}
		select {
		case l.in <- ev.item(o.cfg.Me, t, m.Data(), left.done):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// settle lets go of an event that every target has stored. An answer of a plane
// is the proof that the plane had its task, and stays until the inbox has noted
// that.
func (o *Outbox) settle(m jetstream.Msg, ev captured) {
	crash.At(crash.OutboxStored)
	ack := func() {
		o.busy.remove(ev.seq)
		if err := m.Ack(); err != nil {
			o.cfg.Log.Warn("event not acknowledged, will be sent again", "err", err)
		}
		crash.At(crash.OutboxSettled)
	}
	if o.cfg.Planes != nil && ev.event != nil && ev.event.Kind == bridge.KindTaskAnswer {
		o.cfg.Planes.AfterCommit(ack)
		return
	}
	ack()
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
