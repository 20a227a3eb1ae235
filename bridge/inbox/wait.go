package inbox

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Why an event waits.
const (
	whyNobody = "nobody in the stamp subscribes"
	whySlow   = "its subscriber is slow"
	whyBehind = "behind an earlier event of its context"
	whyDoubt  = "a plane may have it already, and has not answered"
	whyTell   = "no plane took it in time; its origin is told"
	whyLeave  = "its origin is asked whether this stamp still has it"
)

// A waiter is one event that waits. Its body stays in RW_IN.
type waiter struct {
	seq      uint64
	subject  string
	context  string
	id       string
	key      bridge.Key
	from     topology.StampID
	captured time.Time
	size     int
	busy     bool // later events of its context wait for it
	gone     bool // taken out of the middle of its queue
}

func waiterOf(a arrival) *waiter {
	w := &waiter{
		seq: a.seq, subject: a.subject, context: a.context, id: a.id, key: a.key, from: a.from,
		captured: a.captured, size: len(a.body) + 256,
	}
	bridge.Detach(&w.context, &w.id, &w.key)
	return w
}

// A waitlist holds the events of subjects that cannot be delivered now, in
// order of arrival for each subject.
type waitlist struct {
	queues map[string][]*waiter
	bySeq  map[uint64]*waiter
	bytes  int64
}

func newWaitlist() *waitlist {
	return &waitlist{queues: map[string][]*waiter{}, bySeq: map[uint64]*waiter{}}
}

func (w *waitlist) n() int { return len(w.bySeq) }

func (w *waitlist) has(subject string) bool { return w.first(subject) != nil }

// holds reports whether the event with sequence seq waits.
func (w *waitlist) holds(seq uint64) bool { return w.bySeq[seq] != nil }

func (w *waitlist) add(e *waiter) {
	w.queues[e.subject] = append(w.queues[e.subject], e)
	w.bySeq[e.seq] = e
	w.bytes += int64(e.size)
}

// first returns the first waiter of a subject, or nil.
func (w *waitlist) first(subject string) *waiter {
	q := w.queues[subject]
	for len(q) > 0 && q[0].gone {
		q = q[1:]
	}
	if len(q) == 0 {
		delete(w.queues, subject)
		return nil
	}
	w.queues[subject] = q
	return q[0]
}

// remove forgets a waiter, wherever it stands.
func (w *waitlist) remove(e *waiter) {
	if w.bySeq[e.seq] != e {
		return
	}
	delete(w.bySeq, e.seq)
	w.bytes -= int64(e.size)
	e.gone = true
	w.first(e.subject)
}

func (w *waitlist) subjects() []string {
	out := make([]string, 0, len(w.queues))
	for s := range w.queues {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}

// deliverable reports whether an event on subject can be published now, and if
// not, why.
func (in *Inbox) deliverable(subject string) (bool, string) {
	if in.isHeld(subject) {
		return false, in.whyHeld()
	}
	return in.takes(subject)
}

// takes is deliverable, whatever an operator wants.
func (in *Inbox) takes(subject string) (bool, string) {
	if in.cfg.Interest(subject) {
		if ok, why := in.cfg.Ready(subject); !ok {
			return false, why
		}
	} else if !in.wanted(subject) {
		return false, whyNobody
	}
	if l := in.lanes[subject]; l != nil && l.full() {
		return false, whySlow
	}
	return true, ""
}

// wait lets an event wait, or sets it aside if too many wait already. What
// waits for a slow subscriber is on its way and has no bound but the disk, nor has
// what an operator holds.
func (in *Inbox) wait(ctx context.Context, a arrival, why string) error {
	if why == whyNobody {
		switch {
		case in.waiting.n() >= in.cfg.MaxWaiting:
			return in.bury(ctx, a, bridge.ReasonOverflow, []string{fmt.Sprintf("%d events wait already", in.waiting.n())})
		case in.waiting.bytes+int64(len(a.body)) > in.cfg.MaxWaitingBytes:
			return in.bury(ctx, a, bridge.ReasonOverflow, []string{fmt.Sprintf("%d bytes wait already", in.waiting.bytes)})
		}
	}
	w := waiterOf(a)
	switch {
	case in.isHeld(a.subject):
		if len(in.thawing) > 0 {
			in.queueToThaw(w)
		}
	case why != whyNobody:
		in.engage(w)
		in.bodies.keep(a)
		in.eager = true
	}
	in.waiting.add(w)
	in.bound(a, time.Now())
	in.noteWaiting(a.about(), a.from, why, a.within)
	in.stale = true
	return nil
}

// retry delivers what can be delivered now, a window at a time for each
// subject, and puts aside what has waited too long.
func (in *Inbox) retry(ctx context.Context, now time.Time) error {
	var errs []error
	in.eager = false
	if in.waiting.n() > 0 {
		for _, s := range in.waiting.subjects() {
			errs = append(errs, in.retrySubject(ctx, s, now))
		}
	}
	errs = append(errs, in.thawSome(ctx), in.settleDoubts(ctx, now), in.commit(ctx))
	return errors.Join(errs...)
}

func (in *Inbox) retrySubject(ctx context.Context, subject string, now time.Time) error {
	if in.isHeld(subject) {
		return nil
	}
	doubted := in.doubted(subject)
	for range batchSize {
		w := in.waiting.first(subject)
		if w == nil {
			return nil
		}
		if d := doubted[w.context]; d != nil && d.w.seq < w.seq && in.heeded(subject) {
			in.followDoubt(d, w)
			continue
		}
		expired := in.tooOld(subject, w.captured, now)
		if ok, _ := in.deliverable(subject); !ok && !expired {
			return nil
		}
		if !expired && in.mustFollow(w) {
			continue
		}
		a, err := in.reread(ctx, w.seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			in.vanished(w.seq)
		case err != nil:
			return err
		case expired:
			err = in.bury(ctx, a, bridge.ReasonExpired, []string{fmt.Sprintf("waited for %s: %s", in.cfg.MaxWait, in.why(w))})
		default:
			a.id, a.context = w.id, w.context
			err = in.deliver(ctx, a)
			in.eager = true // its window may be empty again after the commit
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		in.waiting.remove(w)
		in.release(w)
		in.stale = true
	}
	return nil
}

// mustFollow moves a waiter behind a task that is in doubt, if that comes before
// it.
func (in *Inbox) mustFollow(w *waiter) bool {
	in.meet(w.subject)
	if !in.followsDoubt(w.context, w.subject, w.seq) {
		return false
	}
	in.waiting.remove(w)
	in.release(w)
	w.gone = false
	in.fallBehind(w)
	return true
}

// vanished settles an event that is in its stream no more: somebody else has
// removed it, or a disk has lost it.
func (in *Inbox) vanished(at place) {
	in.cfg.Log.Error("event is gone from its stream before it was settled", "stream", StreamIn, "n", seqOf(at))
	in.fresh = append(in.fresh, at)
}
