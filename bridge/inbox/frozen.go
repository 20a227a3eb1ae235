package inbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// An operator can have the stamp hold what begins something new: see
// bridge.Holdable. What is held waits with the rest, in the queue of its subject.
// It has no bound but the disk, ages as little as its origin's rules allow, and
// holds up no other event: answers of the same context pass it. When the hold
// ends, what is held is offered in order of arrival, whatever its subject, and
// what arrives meanwhile comes behind it.

// whyThaw is why an event waits after a hold, until those before it are gone.
const whyThaw = "held before, and let go in order"

// isHeld reports whether events of a subject are held now, or queue behind what
// was.
func (in *Inbox) isHeld(subject string) bool {
	return (in.holding.On() || len(in.thawing) > 0) && bridge.Holdable(subject)
}

// whyHeld says why an event of a subject that is held waits.
func (in *Inbox) whyHeld() string { return cmp.Or(in.holding.Why(), whyThaw) }

// Heed returns once everything that is delivered from then on is so by what
// Config.Holding says now.
func (in *Inbox) Heed(ctx context.Context) error {
	done := make(chan struct{})
	var err error
	if asked := in.ask(ctx, func() {
		defer close(done)
		if err = in.heed(ctx); err == nil {
			err = in.commit(ctx) // of what was staged before
		}
	}, done); asked != nil {
		return asked
	}
	return err
}

// heed takes notice of what Config.Holding says. Only run calls it.
func (in *Inbox) heed(ctx context.Context) error {
	was, is := in.holding, in.cfg.Holding()
	if was == is {
		return nil
	}
	in.holding, in.stale = is, true
	switch {
	case is.On() && !was.On():
		in.freeze()
	case was.On() && !is.On():
		if in.progress.Held {
			// Written first: what is let go may be in doubt after a crash.
			if err := in.note(context.WithoutCancel(ctx)); err != nil {
				in.holding = was
				return err
			}
		}
		in.thaw()
	}
	return nil
}

// stopped reports whether what is held is all that a process that dies now would
// leave: what was published before the hold has reached its subscribers, and no
// task is in doubt. Then nothing that is held is in doubt after a crash.
func (in *Inbox) stopped() bool {
	if !in.holding.On() || len(in.staged) > 0 || len(in.doubts) > 0 {
		return false
	}
	for subject := range in.lanes {
		if bridge.Holdable(subject) {
			return false
		}
	}
	return true
}

// freeze has what waits and is held now hold up nobody.
func (in *Inbox) freeze() {
	in.thawing = nil
	for subject, q := range in.waiting.queues {
		if !bridge.Holdable(subject) {
			continue
		}
		for _, w := range q {
			if !w.gone {
				in.release(w)
			}
		}
	}
}

// thaw begins to offer what was held.
func (in *Inbox) thaw() {
	in.thawing = nil
	for subject, q := range in.waiting.queues {
		if !bridge.Holdable(subject) {
			continue
		}
		for _, w := range q {
			if !w.gone {
				in.thawing = append(in.thawing, w)
			}
		}
	}
	slices.SortFunc(in.thawing, func(a, b *waiter) int { return cmp.Compare(a.seq, b.seq) })
	for _, d := range in.doubts { // they come first in their contexts again
		if bridge.Holdable(d.w.subject) && in.heeded(d.w.subject) {
			in.engage(d.w)
		}
	}
}

// queueToThaw puts an event among those that are let go, in order of arrival.
func (in *Inbox) queueToThaw(w *waiter) {
	i := len(in.thawing)
	for i > 0 && in.thawing[i-1].seq > w.seq {
		i--
	}
	in.thawing = slices.Insert(in.thawing, i, w)
}

// thawSome offers what was held, a batch at a time. What cannot be delivered waits
// from then on as any other event does.
func (in *Inbox) thawSome(ctx context.Context) error {
	if in.holding.On() {
		return nil
	}
	for n := 0; len(in.thawing) > 0 && n < batchSize; {
		w := in.thawing[0]
		delivered, err := in.thawOne(ctx, w)
		if err != nil {
			return err
		}
		if delivered {
			n++
		}
		in.thawing = in.thawing[1:]
		in.stale = true
	}
	return nil
}

func (in *Inbox) thawOne(ctx context.Context, w *waiter) (delivered bool, err error) {
	if in.waiting.bySeq[w.seq] != w {
		return false, nil // it was taken out
	}
	if w.context != "" && (in.busy[w.context] > 0 || len(in.behind[w.context]) > 0) {
		again := *w // it may stand in the middle of its queue, where it is marked as gone
		in.waiting.remove(w)
		in.fallBehind(&again)
		return false, nil
	}
	ok, why := in.takes(w.subject)
	if ok && in.waiting.first(w.subject) != w {
		ok, why = false, whySlow // behind others of its subject
	}
	if !ok {
		if why != whyNobody {
			in.engage(w)
		}
		return false, nil
	}
	if in.mustFollow(w) {
		return false, nil
	}
	a, err := in.reread(ctx, w.seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		in.vanished(w.seq)
	case err != nil:
		return false, err
	default:
		a.id, a.context = w.id, w.context
		if err := in.deliver(ctx, a); err != nil {
			return false, err
		}
	}
	in.waiting.remove(w)
	in.release(w)
	return true, nil
}

// tooOld reports whether an event of a subject has waited too long. What an
// operator holds has not, and its time begins when it is let go.
func (in *Inbox) tooOld(subject string, since, now time.Time) bool {
	if bridge.Holdable(subject) {
		if in.isHeld(subject) {
			return false
		}
		if in.holding.Ended.After(since) {
			since = in.holding.Ended
		}
	}
	return now.Sub(since) > in.cfg.MaxWait
}

// nHeld counts what waits because of an operator.
func (in *Inbox) nHeld() (n int) {
	if !in.holding.On() {
		return len(in.thawing)
	}
	for subject, q := range in.waiting.queues {
		if !bridge.Holdable(subject) {
			continue
		}
		for _, w := range q {
			if !w.gone {
				n++
			}
		}
	}
	return n
}

// Held returns how many events wait because of an operator.
func (in *Inbox) Held() int { return int(in.heldNow.Load()) }
