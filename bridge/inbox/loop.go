package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/internal/crash"
)

// How often what waits is looked at: quickly while something that was published
// has not reached its subscribers' sockets, and rarely while there is nothing.
const (
	lookEvery = 50 * time.Millisecond
	lookSoon  = time.Millisecond
	lookIdle  = 250 * time.Millisecond
)

// loop delivers what arrives, and looks from time to time for subscribers of
// what waits.
func (in *Inbox) loop(ctx context.Context, arrived <-chan jetstream.Msg, lost <-chan error) error {
	look := newLookout(lookEvery)
	defer look.stop()
	forget := time.NewTicker(time.Minute)
	defer forget.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return in.finish(ctx)
		case err := <-lost:
			// A reader that is gone is made anew, and nothing is in doubt for it.
			return errors.Join(fmt.Errorf("read %s: %w", StreamIn, err), in.finish(ctx))
		case m := <-arrived:
			err = in.take(ctx, m, arrived)
		case answer := <-in.claims.answers:
			err = in.granted(ctx, answer)
		case <-in.cfg.Gate.Wake():
			err = in.readmit(ctx)
		case <-in.nudged:
			err = in.commit(ctx)
		case question := <-in.asked:
			question()
		case now := <-look.C:
			err = in.look(ctx, now)
			look.passed(in.lookAgain())
		case now := <-forget.C:
			in.forget(ctx, now)
		}
		if err == nil {
			err = in.advance(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		look.within(in.lookAgain())
	}
}

func (in *Inbox) lookAgain() time.Duration {
	switch {
	case in.eager:
		return 0
	case len(in.lanes) > 0 || len(in.thawing) > 0:
		return lookSoon
	case in.idle():
		return lookIdle
	}
	return lookEvery
}

// idle reports whether nothing waits, and nobody has a task to answer.
func (in *Inbox) idle() bool {
	return in.waiting.n() == 0 && in.nBehind == 0 && len(in.doubts) == 0 && in.givens.list.len() == 0 &&
		len(in.claims.waiting) == 0 && len(in.claims.without) == 0 && !in.stale
}

// A lookout is a timer that can be told to be sooner, and not to be later: what
// arrives all the time must not keep what waits from being looked at.
type lookout struct {
	*time.Timer
	due time.Time
}

func newLookout(d time.Duration) *lookout { return &lookout{time.NewTimer(d), time.Now().Add(d)} }

func (l *lookout) stop() { l.Stop() }

// passed says that the timer has fired, and when it is to fire again.
func (l *lookout) passed(d time.Duration) {
	l.Reset(d)
	l.due = time.Now().Add(d)
}

// within has the timer fire in d at the latest.
func (l *lookout) within(d time.Duration) {
	if due := time.Now().Add(d); due.Before(l.due) {
		l.Reset(d)
		l.due = due
	}
}

// look does what nobody tells of.
func (in *Inbox) look(ctx context.Context, now time.Time) error {
	if now.Sub(in.lookedAt) >= lookEvery {
		in.lookedAt = now
		if err := in.heed(ctx); err != nil {
			return err
		}
		in.dirty = in.dirty || in.stopped() != in.progress.Held
		in.watchPlanes(now)
		if err := in.askClaims(ctx, now); err != nil {
			return err
		}
		if in.stale {
			in.publishReport()
		}
	}
	return in.retry(ctx, now)
}

// finish notes what was delivered before an orderly stop.
func (in *Inbox) finish(ctx context.Context) error {
	if err := in.commit(ctx); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for len(in.lanes) > 0 && patience.Err() == nil {
		select {
		case <-time.After(lookSoon):
		case <-patience.Done():
		}
		in.drain()
	}
	in.progress.Clean = len(in.lanes) == 0
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout*4)
	defer stop()
	return in.note(ctx)
}

// drainTimeout is how long, at a stop, subscribers are waited for that have not
// read what was published.
const drainTimeout = time.Second

// take handles m and whatever else has arrived, up to a batch, and writes the
// progress down.
func (in *Inbox) take(ctx context.Context, m jetstream.Msg, arrived <-chan jetstream.Msg) error {
	n, err := in.arrive(ctx, m)
	for more := 0; err == nil && n < batchSize; n += max(1, more) {
		select {
		case m = <-arrived:
			more, err = in.arrive(ctx, m)
			continue
		default:
		}
		break
	}
	return errors.Join(err, in.commit(ctx))
}

// note writes down what is settled.
func (in *Inbox) note(ctx context.Context) error {
	crash.At(crash.InboxFlushed)
	defer crash.At(crash.InboxSaved)
	if err := in.cfg.Gate.Commit(ctx); err != nil {
		return err
	}
	for _, seq := range in.fresh {
		in.progress.done(seq)
		in.bodies.take(seq)
	}
	in.fresh, in.dirty = in.fresh[:0], false
	in.progress.Open = in.openSeqs()
	if in.suspects != nil && in.progress.Floor >= in.suspectsTo {
		in.suspects = nil
	}
	in.progress.Held = in.stopped()
	in.progress.Exact = in.announces() && in.suspects == nil
	in.progress.Given, in.progress.Answering = in.givens.seqs(in.doubts), in.givens.subjects()
	if err := in.state.save(ctx, in.progress); err != nil {
		return err
	}
	in.passed = slices.DeleteFunc(in.passed, in.progress.has)
	return nil
}
