package inbox

import (
	"context"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A Waiting says what waits, one entry a subject and reason.
type Waiting struct {
	Subject string    `json:"subject"`
	Count   int       `json:"count"`
	Bytes   int64     `json:"bytes"`
	Oldest  time.Time `json:"oldest"` // when its origin captured the oldest
	Reason  string    `json:"reason"`
}

// Waiting returns what waits now, by subject.
func (in *Inbox) Waiting() []Waiting { return *in.report.Load() }

// A WaitingEvent is one event that waits.
type WaitingEvent struct {
	ID       string           `json:"id"`
	Subject  string           `json:"subject"`
	Context  string           `json:"shkeptncontext"`
	Key      bridge.Key       `json:"key"`
	From     topology.StampID `json:"from"`
	Captured time.Time        `json:"captured"`
	Age      string           `json:"age"`
	Reason   string           `json:"reason"`
}

// WaitingEvents returns the events that wait, at most limit; those with this
// id, shkeptncontext or key if match is not empty.
func (in *Inbox) WaitingEvents(ctx context.Context, match string, limit int) ([]WaitingEvent, error) {
	out := []WaitingEvent{}
	done := make(chan struct{})
	look := func() {
		defer close(done)
		in.each(func(w *waiter, why string) bool {
			if match == "" || match == w.id || match == w.context || match == w.key {
				out = append(out, WaitingEvent{
					ID: w.id, Subject: w.subject, Context: w.context, Key: w.key, From: w.from,
					Captured: w.captured, Age: time.Since(w.captured).Round(time.Millisecond).String(), Reason: why,
				})
			}
			return len(out) < limit
		})
	}
	if err := in.ask(ctx, look, done); err != nil {
		return nil, err
	}
	return out, nil
}

// ask makes run do something, and returns when done is closed.
func (in *Inbox) ask(ctx context.Context, what func(), done <-chan struct{}) error {
	select {
	case in.asked <- what:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LetGo reports whether this stamp can let go of a task that its planes were
// given and have not answered, and does so: it is not given to them again. It
// cannot while the task waits, may yet be with a plane, or was given less than its
// rule's startWithin ago. It may be asked again.
func (in *Inbox) LetGo(ctx context.Context, triggered string) bool {
	can, done := false, make(chan struct{})
	err := in.ask(ctx, func() {
		defer close(done)
		in.takeNotes()
		if in.waits(triggered) {
			return
		}
		if can = in.givens.letGo[triggered]; can {
			return // the word of it was lost
		}
		g := in.givens.list.get(triggered)
		if g == nil || in.lanes[g.subject] != nil || time.Since(g.at) < g.within {
			return // its planes have as long as they would have had at once
		}
		in.observe(g.subject)
		if now := in.givens.list.get(triggered); now == nil || now.n != g.n { // a plane that had it has gone
			return
		}
		if err := in.withdraw(ctx, triggered); err != nil {
			in.cfg.Log.Warn("task not taken back, will be asked again", "task", triggered, "err", err)
			return
		}
		in.givens.release(triggered)
		in.dirty, can = true, true
	}, done)
	return err == nil && can
}

// waits reports whether the task with an id waits for anything.
func (in *Inbox) waits(id string) bool {
	found := false
	in.each(func(w *waiter, _ string) bool {
		found = w.id == id
		return !found
	})
	return found
}

// each calls f with everything that waits, until f returns false. Only run
// calls it.
func (in *Inbox) each(f func(w *waiter, why string) bool) {
	for _, s := range in.waiting.subjects() {
		for _, w := range in.waiting.queues[s] {
			if !w.gone && !f(w, in.why(w)) {
				return
			}
		}
	}
	for _, q := range in.behind {
		for _, w := range q {
			if !f(w, whyBehind) {
				return
			}
		}
	}
	for _, d := range in.doubts {
		if !f(d.w, whyDoubt) {
			return
		}
	}
	for _, cl := range in.claims.waiting {
		if !f(cl.w, whyLeave) {
			return
		}
	}
	for _, cl := range in.claims.without {
		if cl.w != nil && !f(cl.w, whyTell) {
			return
		}
	}
}

// why says why an event of the waitlist waits.
func (in *Inbox) why(w *waiter) string {
	if ok, why := in.deliverable(w.subject); !ok {
		return why
	}
	return whySlow
}

// publishReport renews what Waiting returns.
func (in *Inbox) publishReport() {
	in.stale = false
	out := []Waiting{}
	for _, s := range in.waiting.subjects() {
		w := in.waiting.first(s)
		if w == nil {
			continue
		}
		entry := Waiting{Subject: s, Oldest: w.captured, Reason: in.why(w)}
		for _, w := range in.waiting.queues[s] {
			if !w.gone {
				entry.Count++
				entry.Bytes += int64(w.size)
			}
		}
		out = append(out, entry)
	}
	out = append(out, in.reportOthers()...)
	in.report.Store(&out)
	n := in.nHeld()
	in.heldNow.Store(int64(n))
	in.metrics.held.Set(float64(n))
	in.metrics.waiting.Set(float64(in.waiting.n() + in.nBehind + len(in.doubts) + len(in.claims.waiting)))
	in.metrics.waitingBytes.Set(float64(in.waiting.bytes))
}

// reportOthers sums up what waits, but not in the queue of its subject.
func (in *Inbox) reportOthers() []Waiting {
	sums := map[[2]string]*Waiting{}
	var order [][2]string
	add := func(w *waiter, why string) {
		k := [2]string{w.subject, why}
		e := sums[k]
		if e == nil {
			e = &Waiting{Subject: w.subject, Reason: why, Oldest: w.captured}
			sums[k] = e
			order = append(order, k)
		}
		e.Count++
		e.Bytes += int64(w.size)
		if w.captured.Before(e.Oldest) {
			e.Oldest = w.captured
		}
	}
	for _, q := range in.behind {
		for _, w := range q {
			add(w, whyBehind)
		}
	}
	for _, d := range in.doubts {
		add(d.w, whyDoubt)
	}
	for _, cl := range in.claims.waiting {
		add(cl.w, whyLeave)
	}
	for _, cl := range in.claims.without {
		if cl.w != nil {
			add(cl.w, whyTell)
		}
	}
	out := make([]Waiting, 0, len(order))
	for _, k := range order {
		out = append(out, *sums[k])
	}
	return out
}
