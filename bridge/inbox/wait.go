package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// A Waiting says what waits for a subscriber, one entry a subject.
type Waiting struct {
	Subject string    `json:"subject"`
	Count   int       `json:"count"`
	Oldest  time.Time `json:"oldest"` // when its origin captured the oldest
	Reason  string    `json:"reason"`
}

// Waiting returns what waits now, by subject.
func (in *Inbox) Waiting() []Waiting { return *in.report.Load() }

// A waitlist holds the events nobody subscribes to yet, in order of arrival
// for each subject. Bodies stay in RW_IN.
type waitlist struct {
	queues map[string][]waiter
	n      int
}

type waiter struct {
	seq      uint64
	captured time.Time
}

func newWaitlist() *waitlist { return &waitlist{queues: map[string][]waiter{}} }

func (w *waitlist) has(subject string) bool { return len(w.queues[subject]) > 0 }

func (w *waitlist) add(a arrival) {
	w.queues[a.subject] = append(w.queues[a.subject], waiter{a.seq, a.captured})
	w.n++
}

// pop forgets the first waiter of subject.
func (w *waitlist) pop(subject string) {
	q := w.queues[subject][1:]
	w.n--
	if len(q) == 0 {
		delete(w.queues, subject)
		return
	}
	w.queues[subject] = q
}

// holds reports whether the event with sequence seq waits.
func (w *waitlist) holds(subject string, seq uint64) bool {
	return slices.ContainsFunc(w.queues[subject], func(e waiter) bool { return e.seq == seq })
}

// remove forgets one waiter, wherever it stands.
func (w *waitlist) remove(subject string, seq uint64) {
	q := slices.DeleteFunc(w.queues[subject], func(e waiter) bool { return e.seq == seq })
	w.n -= len(w.queues[subject]) - len(q)
	w.queues[subject] = q
	if len(q) == 0 {
		delete(w.queues, subject)
	}
}

func (w *waitlist) subjects() []string {
	out := make([]string, 0, len(w.queues))
	for s := range w.queues {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}

func (in *Inbox) publishReport() {
	out := make([]Waiting, 0, len(in.waiting.queues))
	for _, s := range in.waiting.subjects() {
		q := in.waiting.queues[s]
		out = append(out, Waiting{Subject: s, Count: len(q), Oldest: q[0].captured, Reason: "nobody in the stamp subscribes"})
	}
	in.report.Store(&out)
	in.metrics.waiting.Set(float64(in.waiting.n))
}

// retry delivers what has found a subscriber, a batch at a time for each
// subject, and puts aside what has waited too long.
func (in *Inbox) retry(ctx context.Context, now time.Time) error {
	if in.waiting.n == 0 {
		return nil
	}
	var err error
	for _, s := range in.waiting.subjects() {
		if err = in.retrySubject(ctx, s, now); err != nil {
			break
		}
	}
	in.publishReport()
	return errors.Join(err, in.commit(ctx))
}

func (in *Inbox) retrySubject(ctx context.Context, subject string, now time.Time) error {
	for range batchSize {
		q := in.waiting.queues[subject]
		if len(q) == 0 {
			return nil
		}
		expired := now.Sub(q[0].captured) > in.cfg.MaxWait
		if !expired && !in.cfg.Interest(subject) {
			return nil
		}
		a, err := in.reread(ctx, q[0].seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			in.cfg.Log.Error("waiting event is gone from its stream", "stream", StreamIn, "n", q[0].seq)
			in.fresh = append(in.fresh, q[0].seq)
		case err != nil:
			return err
		case expired:
			err = in.bury(ctx, a, bridge.ReasonExpired, []string{fmt.Sprintf("nobody subscribed to %s for %s", subject, in.cfg.MaxWait)})
		default:
			err = in.deliver(a)
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		in.waiting.pop(subject)
	}
	return nil
}

func (in *Inbox) reread(ctx context.Context, seq uint64) (arrival, error) {
	m, err := in.stream.GetMsg(ctx, seq)
	if err != nil {
		return arrival{}, fmt.Errorf("read %s: %w", StreamIn, err)
	}
	return read(m.Subject, m.Header, m.Data, seq), nil
}
