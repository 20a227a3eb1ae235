package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/internal/jstream"
)

// How long an event that could not be settled waits for the next try.
const (
	firstHandle = 250 * time.Millisecond
	lastHandle  = 30 * time.Second
)

// A reader reads RW_OUT, in order. What is settled is removed in passing by a
// trimmer; from a work queue, as earlier versions made it, by acknowledging each
// event.
type reader struct {
	o       *Outbox
	out     jetstream.Stream
	ledger  *ledger
	routing *routing
	byAck   bool
	msgs    jetstream.MessagesContext
	backlog uint64 // how many events were captured before
	before  uint64 // the last of them
	last    uint64 // sequence that was read last
	seen    deliveries
	stop    func()
	sinks   []*feeder
	stage   *stage // nil: RW_OUT has the order
}

// newReader begins to read what out has.
func (o *Outbox) newReader(ctx context.Context, out jetstream.Stream) (*reader, error) {
	info := out.CachedInfo()
	r := &reader{
		o: o, out: out, ledger: newLedger(info.State.FirstSeq), before: info.State.LastSeq,
		last: max(info.State.FirstSeq, 1) - 1, byAck: info.Config.Retention == jetstream.WorkQueuePolicy,
	}
	var err error
	if r.routing, err = o.openRouting(ctx, info.State.LastSeq, func() uint64 { floor, _ := r.ledger.settled(); return floor }); err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.routing = r.routing
	o.mu.Unlock()
	if r.backlog, err = r.open(ctx); err != nil {
		return nil, err
	}
	for _, s := range o.cfg.Sinks {
		f := newFeeder(s, o.cfg.Log)
		r.sinks = append(r.sinks, f)
		o.wg.Go(func() { f.run(ctx) })
	}
	if o.cfg.Order != nil {
		r.stage = r.newStage(ctx, o.cfg.Order)
	}
	if !r.byAck {
		t := &trimmer{ledger: r.ledger, stream: out, log: o.cfg.Log, since: time.Now()}
		o.wg.Go(func() { t.run(ctx) })
	}
	return r, nil
}

// open begins to read behind what was read last, and returns how much there is.
func (r *reader) open(ctx context.Context) (pending uint64, err error) {
	cons, err := r.consumer(ctx)
	if err != nil {
		return 0, fmt.Errorf("open consumer of %s: %w", StreamOut, err)
	}
	pull := []jetstream.PullMessagesOpt{jetstream.PullMaxMessages(1000)}
	if r.o.cfg.Replicas > 1 {
		pull = append(pull, jetstream.PullHeartbeat(heartbeat))
	}
	msgs, err := cons.Messages(pull...)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", StreamOut, err)
	}
	unhook := context.AfterFunc(ctx, msgs.Stop)
	r.seen, r.msgs, r.stop = 0, msgs, func() { // also where a failed read ends the run
		unhook()
		msgs.Stop()
	}
	return cons.CachedInfo().NumPending, nil
}

// consumer makes a fresh consumer. What an earlier process had in hand is still
// in the stream, so that a new consumer reads it again at once and in order.
func (r *reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	if !r.byAck {
		return jstream.Reader(ctx, r.out, r.last+1) //nolint:wrapcheck // the caller says which stream
	}
	return freshConsumer(ctx, r.o.js, StreamOut, jetstream.ConsumerConfig{
		Durable: "router", AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 30 * time.Second, MaxAckPending: maxUnsettled,
	})
}

// run handles what comes until ctx ends.
func (r *reader) run(ctx context.Context) error {
	for n := uint64(0); ; n++ {
		if n == r.backlog {
			r.o.readTo.Store(max(r.before, r.o.readTo.Load()))
			r.o.answered.caughtUp(true)
			r.caughtUp(ctx)
		}
		m, meta, err := r.next(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", StreamOut, err)
		}
		err = r.take(ctx, m, meta)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it is still in RW_OUT
		}
		if err != nil {
			return err
		}
	}
}

// caughtUp says that all of the backlog was handed on.
func (r *reader) caughtUp(ctx context.Context) {
	if r.stage != nil {
		r.stage.after(ctx, r.o.cfg.Tasks.CaughtUp)
		return
	}
	r.o.cfg.Tasks.CaughtUp()
}

// next returns the next event. Where a consumer is gone or has lost a delivery,
// another one reads on behind the last event; if that cannot be made, or the
// consumer knows what is in hand, the run ends.
func (r *reader) next(ctx context.Context) (m jetstream.Msg, meta *jetstream.MsgMetadata, err error) {
	for {
		if m, err = r.msgs.Next(); err == nil {
			meta, err = r.seen.next(m)
		}
		if err == nil || ctx.Err() != nil || r.byAck {
			return m, meta, err
		}
		r.o.cfg.Log.Debug("reader begins anew", "stream", StreamOut, "err", err)
		r.stop()
		if _, err := r.open(ctx); err != nil {
			return nil, nil, err
		}
	}
}

// take takes in one captured event.
func (r *reader) take(ctx context.Context, m jetstream.Msg, meta *jetstream.MsgMetadata) error {
	crash.At(crash.OutboxRead)
	seq := meta.Sequence.Stream
	r.last = seq
	if !r.ledger.take(ctx, seq) {
		if ctx.Err() == nil && r.byAck {
			return m.InProgress() // offered again while it is in hand
		}
		return nil
	}
	if meta.NumDelivered == 1 {
		r.o.metrics.captured.Inc()
	}
	router, err := r.routing.of(ctx, seq, meta.Timestamp)
	if err != nil {
		return err
	}
	ev := r.o.capture(m, router, seq, meta.Timestamp)
	ev.more = meta.NumPending > 0
	ev.fits(len(m.Data()), r.o.cfg.Fed.MaxPayload())
	r.o.noteCaptured(m, ev)
	if e := ev.event; e != nil && e.Kind == bridge.KindTaskAnswer {
		r.o.answered.add(e.TriggeredID)
		if r.o.cfg.Planes != nil {
			r.o.cfg.Planes.Answered(e.TriggeredID)
		}
	}
	r.o.readTo.Store(max(seq, r.o.readTo.Load()))
	if r.stage != nil {
		r.stage.put(ctx, m, ev)
		return nil
	}
	r.settleOrRetry(ctx, m, ev)
	return nil
}

// settleOrRetry handles an event; if that fails others go on, and it is tried
// again.
func (r *reader) settleOrRetry(ctx context.Context, m jetstream.Msg, ev *captured) {
	if err := r.handle(ctx, m, ev); err != nil && ctx.Err() == nil {
		r.o.cfg.Log.Warn("event not settled, will try again", "err", err)
		r.o.wg.Go(func() { r.retry(ctx, m, ev) })
	}
}

// retry handles an event until it succeeds or ctx ends; others go on meanwhile.
func (r *reader) retry(ctx context.Context, m jetstream.Msg, ev *captured) {
	for wait := firstHandle; ctx.Err() == nil; wait = min(2*wait, lastHandle) {
		sleep(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		if r.handle(ctx, m, ev) == nil {
			return
		}
	}
}

// handle settles an event that must not cross, or hands it to the lanes that
// settle it.
func (r *reader) handle(ctx context.Context, m jetstream.Msg, ev *captured) error {
	if ev.decision.Refused != bridge.ReasonNone {
		return r.refuse(ctx, m, ev)
	}
	return r.dispatch(ctx, m, ev)
}

// refuse puts an event aside and lets it go.
func (r *reader) refuse(ctx context.Context, m jetstream.Msg, ev *captured) error {
	r.o.metrics.refused.WithLabelValues(string(ev.decision.Refused)).Inc()
	r.o.cfg.Log.Debug("event refused", "subject", ev.subject, "reason", ev.decision.Refused)
	err := r.o.cfg.DeadLetters.Put(ctx, bridge.Letter{
		Side: bridge.SideOut, Reason: ev.decision.Refused, Detail: ev.decision.Tried,
		Subject: ev.subject, From: r.o.cfg.Me, Key: ev.key, Captured: ev.at, Body: m.Data(),
	})
	if err != nil {
		return err
	}
	left := newCountdown(func() { r.letGo(m, ev.seq) })
	r.feed(m, ev, left)
	left.done()
	return nil
}

// feed gives the sinks what they want. Also an event that must not cross has
// reached the clients of this stamp.
func (r *reader) feed(m jetstream.Msg, ev *captured, left *countdown) {
	if ev.event == nil {
		return
	}
	for _, f := range r.sinks {
		f.offer(bridge.Passing{Subject: ev.subject, Body: m.Data(), Local: true}, left)
	}
}

// dispatch gives one copy to the lane of each target. The last lane that is
// done with its copy lets go of the event.
func (r *reader) dispatch(ctx context.Context, m jetstream.Msg, ev *captured) error {
	left := newCountdown(func() { r.settle(m, ev) })
	done := left.done // one function for all
	targets := ev.decision.Targets
	if given := ev.given(m.Data()); given != nil {
		left.add(1)
		if err := r.o.cfg.Tasks.Give(ctx, given, done); err != nil {
			return err
		}
		targets = given.Decision.Targets
	}
	left.add(len(targets))
	r.o.noteRouted(ev, targets)
	r.feed(m, ev, left)
	defer left.done()
	for _, t := range targets {
		r.o.metrics.routed.WithLabelValues(string(t.Stamp), t.Rule).Inc()
		l := r.o.startLane(t.Stamp, 0)
		if l == nil {
			return nil // told to stop; the event is still in RW_OUT
		}
		it := ev.item(t, m.Data(), done)
		r.o.trace(it, r.o.names(ev), ev.trace, t.Stamp)
		select {
		case l.in <- it:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// settle lets go of an event that every target has stored. An answer of a plane
// is the proof that the plane had its task, and stays until the inbox has noted
// that.
func (r *reader) settle(m jetstream.Msg, ev *captured) {
	crash.At(crash.OutboxStored)
	if r.o.cfg.Planes != nil && ev.event != nil && ev.event.Kind == bridge.KindTaskAnswer {
		r.o.cfg.Planes.AfterCommit(func() { r.letGo(m, ev.seq) })
		return
	}
	r.letGo(m, ev.seq)
}

// letGo has an event removed from RW_OUT.
func (r *reader) letGo(m jetstream.Msg, seq uint64) {
	defer crash.At(crash.OutboxSettled)
	r.ledger.settle(seq)
	if !r.byAck {
		return // the trimmer will
	}
	if err := m.Ack(); err != nil {
		r.o.cfg.Log.Warn("event not acknowledged, will be sent again", "err", err)
	}
}
