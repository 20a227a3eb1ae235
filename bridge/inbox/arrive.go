package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/topology"
)

// errGap reports that a consumer has delivered something that did not arrive,
// or not in order: the replica that led it died in that moment.
var errGap = errors.New("a delivery was lost")

// A delivery is the last one of a consumer.
type delivery struct {
	consumer string
	n, seq   uint64
}

// next checks that m is the one that follows.
func (d *delivery) next(m *jetstream.MsgMetadata) error {
	if m.Consumer != d.consumer {
		d.n = 0
	}
	if m.Sequence.Consumer != d.n+1 || m.Sequence.Stream <= d.seq {
		return fmt.Errorf("read %s: %w", StreamIn, errGap)
	}
	d.consumer, d.n, d.seq = m.Consumer, m.Sequence.Consumer, m.Sequence.Stream
	return nil
}

// arrive delivers the events of one message, lets them wait, or puts them aside.
// It returns how many there are.
func (in *Inbox) arrive(ctx context.Context, m jetstream.Msg) (n int, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return 0, fmt.Errorf("read metadata: %w", err)
	}
	if err := in.seen.next(meta); err != nil {
		return 0, err
	}
	if endOf(meta.Sequence.Stream) <= in.progress.Floor {
		return 0, nil
	}
	all := readMessage(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream)
	for _, a := range all {
		if err := in.meetOne(ctx, a, meta.Timestamp); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

// meetOne takes in one event at its first sight.
func (in *Inbox) meetOne(ctx context.Context, a arrival, stored time.Time) error {
	if in.progress.has(a.seq) {
		return nil
	}
	crash.At(crash.InboxArrived)
	in.metrics.of(a.from).received.Inc()
	// First whether it is what it says: a stamp that knows the id of an event could
	// have it dropped as a repetition of something else.
	e, why := in.accept(a)
	if why != bridge.ReasonNone {
		in.known.Load().refused(a)
		return in.refuse(ctx, a, e, why, stored)
	}
	repeated, err := in.known.Load().repeated(ctx, a)
	switch {
	case err != nil:
		return err
	case repeated:
		in.metrics.repeated.WithLabelValues(string(a.from)).Inc()
		in.fresh = append(in.fresh, a.seq)
		return nil
	}
	in.noteCrossed(&a, e, stored)
	return in.judge(ctx, a, e)
}

// refuse puts aside what does not count as an event.
func (in *Inbox) refuse(ctx context.Context, a arrival, e *bridge.Event, why bridge.Reason, stored time.Time) error {
	if a.broken != nil {
		return in.bury(ctx, a, why, []string{a.broken.Error()})
	}
	in.noteCrossed(&a, e, stored)
	return in.bury(ctx, a, why, nil)
}

// judge offers an event that was accepted, unless it is refused or has to wait for
// others.
func (in *Inbox) judge(ctx context.Context, a arrival, e *bridge.Event) error {
	if most := in.maxPayload(); most > 0 {
		if size := in.message(a).Size(); int64(size) > most {
			return in.bury(ctx, a, bridge.ReasonTooLarge, []string{fmt.Sprintf("%d bytes with headers, the NATS of the stamp takes %d", size, most)})
		}
	}
	if done, err := in.admit(ctx, a, e); done || err != nil {
		return err
	}
	if e != nil {
		a.id, a.context = e.ID, e.Context
	}
	if d := in.doubts[a.id]; d != nil && d.w.seq == a.seq {
		return nil // it was published before the start; recall has taken it up
	}
	if a.claim && e != nil {
		return in.claim(a, time.Now())
	}
	return in.offer(ctx, a)
}

func (in *Inbox) maxPayload() int64 {
	if in.cfg.MaxPayload == nil {
		return 0
	}
	return in.cfg.MaxPayload()
}

// accept checks what a sender's gateway should have checked already. The
// subject's sender token is vouched for by NATS permissions; nothing else is.
func (in *Inbox) accept(a arrival) (*bridge.Event, bridge.Reason) {
	e, why := a.event()
	if why != bridge.ReasonNone {
		return nil, why
	}
	router := in.cfg.Router()
	if e == nil {
		return nil, router.AcceptCustom(a.from, a.subject, topology.RouteDurable)
	}
	why = router.Accept(a.from, e)
	if why == bridge.ReasonUnknown && e.Kind == bridge.KindTaskAnswer && router.Owns(e.Project) {
		why = bridge.ReasonNone // a stamp that left: whether it was asked is what counts
	}
	return e, why
}

// offer delivers an event if it can be delivered now and nothing before it
// waits; otherwise it waits, or is dropped if nobody need act on it.
func (in *Inbox) offer(ctx context.Context, a arrival) error {
	if in.suspect(a) || in.follows(a) {
		return nil
	}
	return in.offerNow(ctx, a)
}

func (in *Inbox) offerNow(ctx context.Context, a arrival) error {
	ok, why := in.deliverable(a.subject)
	if why == whySlow && !in.slow[a.subject] && !in.waiting.has(a.subject) {
		// Its subscribers keep up: they have the window in a moment.
		if err := in.save(ctx); err != nil {
			return err
		}
		ok, why = in.deliverable(a.subject)
	}
	if ok && a.context != "" {
		in.meet(a.subject)
		if in.followsDoubt(a.context, a.subject, a.seq) {
			in.bodies.keep(a)
			in.fallBehind(waiterOf(a))
			return nil
		}
	}
	switch {
	case ok && !in.waiting.has(a.subject):
		return in.deliver(ctx, a)
	case a.offer && (why == whyNobody || in.isHeld(a.subject) && !in.heeded(a.subject)):
		in.metrics.unwanted.WithLabelValues(string(a.from)).Inc()
		in.note1(bridge.StepDropped, a.about(), a.from, whyNobody+", and nobody need act on it")
		in.fresh = append(in.fresh, a.seq)
		return nil
	case ok:
		why = whySlow // behind others of its subject
	}
	return in.wait(ctx, a, why)
}

// bury puts an event aside as a dead letter.
func (in *Inbox) bury(ctx context.Context, a arrival, why bridge.Reason, detail []string) error {
	in.metrics.dead.WithLabelValues(string(a.from), string(why)).Inc()
	in.cfg.Log.Debug("event not delivered", "peer", a.from, "subject", a.subject, "reason", why)
	err := in.cfg.DeadLetters.Put(ctx, bridge.Letter{
		Side: bridge.SideIn, Reason: why, Detail: detail, Subject: a.subject,
		From: a.from, To: in.cfg.Me, Key: a.key, Captured: a.captured, Body: a.body,
	})
	if err != nil {
		return err
	}
	in.fresh = append(in.fresh, a.seq)
	return nil
}
