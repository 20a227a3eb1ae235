package inbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/bridge"
)

// A Subscriber is one client of the stamp that subscribes to a subject.
type Subscriber struct {
	ID      uint64 // of the connection; never used twice
	Pending int    // bytes that the server has for it and has not written
}

// A lane is what was published on one subject and has not been written to the
// sockets of its subscribers yet. NATS cuts off a client that has too much
// pending, and what it had is lost; so no more is published than fits a window.
type lane struct {
	seqs  []uint64
	bytes int
}

// The window of a lane. It is also how many events of a subject are doubtful at
// most after a crash, for what a lane holds is settled and noted in one go.
const (
	windowEvents = MaxDoubtful
	windowBytes  = 1 << 20
)

// MaxDoubtful bounds how many events of a subject may have been published and
// not noted when a process dies, so that nobody knows whether a plane got them.
// It is reached by a subscriber that is slow or a burst; docs/invariants.md, I2.
const MaxDoubtful = 256

// A subscriber that keeps up is waited for a moment when its window is full,
// which is sooner than to let events wait and read them again. One that does
// not is waited for no more until it has caught up, for others want to be
// served.
const (
	keepUpSteps = 20
	keepUpStep  = 100 * time.Microsecond
)

func (l *lane) full() bool { return len(l.seqs) >= windowEvents || l.bytes >= windowBytes }

// deliver publishes the event to the stamp's clients, at once or with the next
// commit. It counts as delivered when its subscribers' sockets have it.
func (in *Inbox) deliver(ctx context.Context, a arrival) error {
	if in.announces() || len(in.staged) > 0 || in.drawn(a.subject) {
		return in.stage(ctx, a)
	}
	if in.published >= batchSize {
		if err := in.save(ctx); err != nil {
			return err
		}
	}
	in.published++
	in.hold(a)
	return in.publish(a)
}

// meet makes the lane of a subject, if there is none, and looks who subscribes:
// so that it is known who is given what, and what is in doubt before anything
// later is given.
func (in *Inbox) meet(subject string) *lane {
	l := in.lanes[subject]
	if l == nil {
		in.observe(subject)
		l = &lane{}
		in.lanes[subject] = l
	}
	return l
}

// hold puts an event into the lane of its subject.
func (in *Inbox) hold(a arrival) {
	l := in.meet(a.subject)
	l.seqs = append(l.seqs, a.seq)
	l.bytes += len(a.body)
}

// drain settles what has been written to the sockets of its subscribers.
func (in *Inbox) drain() {
	for subject, l := range in.lanes {
		if in.observe(subject) > 0 {
			continue
		}
		in.fresh = append(in.fresh, l.seqs...)
		delete(in.lanes, subject)
		delete(in.slow, subject)
		if bridge.Classify(subject) != bridge.KindTaskTriggered {
			delete(in.subscribed, subject) // a custom route may have a subject a message
		}
	}
}

// keepUp waits a moment for subscribers whose windows are full.
func (in *Inbox) keepUp(ctx context.Context) {
	for range keepUpSteps {
		full := 0
		for subject, l := range in.lanes {
			if l.full() && !in.slow[subject] {
				full++
			}
		}
		if full == 0 {
			return
		}
		select {
		case <-time.After(keepUpStep):
		case <-ctx.Done():
			return
		}
		in.drain()
	}
	for subject, l := range in.lanes {
		if l.full() {
			in.slow[subject] = true
		}
	}
}

// written settles one event of a lane: its plane has answered it.
func (l *lane) written(seq uint64) bool {
	i := slices.Index(l.seqs, seq)
	if i >= 0 {
		l.seqs = slices.Delete(l.seqs, i, i+1)
	}
	return i >= 0
}

// AfterCommit calls then once everything that was published by now is noted
// as delivered, and what Answered was told by now as answered. While the Inbox
// does not run, that is after its next start; if there is none, then is never
// called, and the next process finds the answers where they are.
func (in *Inbox) AfterCommit(then func()) {
	in.mu.Lock()
	in.after = append(in.after, then)
	in.mu.Unlock()
	in.nudge()
}

// nudge makes the loop commit soon.
func (in *Inbox) nudge() {
	select {
	case in.nudged <- struct{}{}:
	default:
	}
}

// takeAfter returns what is to be called after the next commit.
func (in *Inbox) takeAfter() []func() {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := in.after
	in.after = nil
	return out
}

// commit makes sure that the server has what was published, and notes as
// delivered what is with the subscribers. A crash before the flush delivers
// again what nobody got; what was published and not noted is doubtful after
// it: see doubt.go.
func (in *Inbox) commit(ctx context.Context) error {
	in.takeNotes()
	after := in.takeAfter()
	if len(in.fresh) == 0 && len(in.lanes) == 0 && len(after) == 0 && !in.dirty {
		return nil
	}
	err := in.save(ctx)
	if err != nil {
		in.mu.Lock()
		in.after = append(after, in.after...)
		in.mu.Unlock()
		return err
	}
	in.unsaved = in.unsaved[:0]
	for _, f := range after {
		f()
	}
	return nil
}

func (in *Inbox) save(ctx context.Context) error {
	// A stop must not come between what was published and the note of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := in.publishStaged(ctx); err != nil {
		return err
	}
	if in.unflushed {
		if err := in.cfg.Deliver.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("flush deliveries: %w", err)
		}
		in.unflushed = false
	}
	in.drain()
	in.keepUp(ctx)
	in.published = 0
	if len(in.fresh) == 0 && !in.dirty {
		return nil
	}
	return in.note(ctx)
}
