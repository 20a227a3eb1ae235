package inbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// A doubt is a task that a plane may have got, or may not: this process died
// before it had noted the delivery, or the plane's connection ended before it
// answered. It is given again if no answer shows up.
type doubt struct {
	w     *waiter
	since time.Time
	heard time.Time // since when somebody subscribes; zero if nobody
	times int
}

// suspect reports whether a might have been published by a process that died,
// and takes note of it.
func (in *Inbox) suspect(a arrival) bool {
	if a.seq > in.suspectsTo || a.offer || bridge.Classify(a.subject) != bridge.KindTaskTriggered {
		return false
	}
	switch {
	case within(in.opened, a.seq) && !in.reopened[a.seq]:
		in.reopened[a.seq] = true // it is among the doubts
	case in.suspects != nil && in.suspects[a.subject] < windowEvents:
		// Only the first events that were not settled then can have been: no
		// more of a subject are published than fit its window.
		in.suspects[a.subject]++
	default:
		return false
	}
	in.doubt(waiterOf(a), 0)
	return true
}

func (in *Inbox) doubt(w *waiter, times int) {
	if w.id == "" || in.doubts[w.id] != nil {
		return
	}
	if in.early[w.id] {
		delete(in.early, w.id)
		in.givens.answering[w.subject] = true
		in.fresh = append(in.fresh, w.seq)
		return
	}
	in.engage(w)
	in.noteWaiting(w.about(), w.from, whyDoubt, 0)
	in.doubts[w.id] = &doubt{w: w, since: time.Now(), times: times}
	in.metrics.doubtful.Set(float64(len(in.doubts)))
	in.stale = true
}

func (in *Inbox) forgetDoubt(d *doubt) {
	delete(in.doubts, d.w.id)
	in.dirty = true
	in.release(d.w)
	in.metrics.doubtful.Set(float64(len(in.doubts)))
	in.stale = true
}

// settleDoubts gives again what nobody has answered for a while, although
// somebody subscribes.
func (in *Inbox) settleDoubts(ctx context.Context, now time.Time) error {
	if len(in.doubts) == 0 {
		return nil
	}
	ripe := make([]*doubt, 0, len(in.doubts))
	for _, d := range in.doubts {
		if ok, why := in.deliverable(d.w.subject); !ok {
			d.heard = time.Time{}
			if err := in.leaveDoubt(ctx, d, why, now); err != nil {
				return err
			}
			continue
		}
		in.engage(d.w) // again, if nobody subscribed for a while
		if d.heard.IsZero() {
			d.heard = now
		}
		if now.Sub(d.since) >= in.cfg.DoubtTime && now.Sub(d.heard) >= in.cfg.DoubtTime*2/3 && in.cfg.Unanswered(d.w.id) {
			ripe = append(ripe, d)
		}
	}
	slices.SortFunc(ripe, func(a, b *doubt) int { return int(a.w.seq) - int(b.w.seq) }) //nolint:gosec // close to each other
	for _, d := range ripe {
		if ok, _ := in.deliverable(d.w.subject); !ok {
			continue // its window is full
		}
		a, err := in.reread(ctx, d.w.seq)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		if err == nil {
			a.id, a.context, a.again = d.w.id, d.w.context, true
			if err := in.deliver(ctx, a); err != nil {
				return err
			}
			in.metrics.again.Inc()
			in.cfg.Log.Info("task given again, no plane had answered it", "task", a.id, "subject", a.subject)
			in.givens.list.again(a.id, d.times)
		} else {
			in.vanished(d.w.seq)
		}
		in.forgetDoubt(d)
	}
	return nil
}

// leaveDoubt sees to a task that cannot be given again now. While nobody
// subscribes it holds up nobody else, and in the end it is set aside.
func (in *Inbox) leaveDoubt(ctx context.Context, d *doubt, why string, now time.Time) error {
	if why == whyNobody || in.holding.On() && bridge.Holdable(d.w.subject) {
		in.release(d.w)
	}
	if !in.tooOld(d.w.subject, d.since, now) {
		return nil
	}
	a, err := in.reread(ctx, d.w.seq)
	if err == nil {
		err = in.bury(ctx, a, bridge.ReasonExpired, []string{fmt.Sprintf("waited for %s: %s; %s", in.cfg.MaxWait, whyDoubt, why)})
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		in.vanished(d.w.seq)
	case err != nil:
		return err
	}
	in.forgetDoubt(d)
	return nil
}

// watchPlanes looks whether subscribers have gone, and doubts tasks that were
// not answered for long, if so configured.
func (in *Inbox) watchPlanes(now time.Time) {
	for subject := range in.givens.answering {
		in.observe(subject)
	}
	if in.cfg.ReofferAfter == 0 {
		return
	}
	again := func(_ string, _ *crowd, times int) bool { return times < in.cfg.ReofferTimes }
	for _, g := range in.givens.list.those(now.Add(-in.cfg.ReofferAfter), again) {
		in.doubtGiven(g, g.times+1)
	}
}

func (in *Inbox) doubtGiven(g *given, times int) {
	in.givens.list.remove(g.id)
	in.dirty = true
	if l := in.lanes[g.subject]; l != nil {
		l.written(g.seq)
	}
	in.doubt(&waiter{seq: g.seq, subject: g.subject, context: g.context, id: g.id, key: bridge.KeyOf(g.id, g.subject, g.subject), captured: g.at}, times)
}

// observe looks who subscribes to a subject, doubts the tasks that somebody was
// given who has gone since, and returns what is pending for all of them.
func (in *Inbox) observe(subject string) (pending int) {
	was := in.subscribed[subject]
	is := make(map[uint64]bool, was.size())
	for _, s := range in.cfg.Subscribers(subject) {
		is[s.ID] = true
		pending += s.Pending
	}
	if was == nil {
		was = &crowd{}
	}
	if maps.Equal(was.ids, is) {
		return pending
	}
	in.subscribed[subject] = &crowd{is} // a new one: the old one belongs to what was given
	for id := range was.ids {
		if is[id] || !in.givens.answering[subject] {
			continue
		}
		had := func(of string, to *crowd, _ int) bool { return of == subject && to.has(id) }
		for _, g := range in.givens.list.those(time.Now(), had) {
			in.doubtGiven(g, g.times)
		}
	}
	return pending
}
