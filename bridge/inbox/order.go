package inbox

import (
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Events of one shkeptncontext are delivered in order of arrival. An event that
// waits for something short, such as a slow subscriber, engages its context:
// later ones wait behind it, whatever their subject. One that waits for a
// subscriber that may never come does not, or a plane that is missing would
// stop all others; only its own subject keeps its order then.

// engage makes later events of w's context wait.
func (in *Inbox) engage(w *waiter) {
	if w.context != "" && !w.busy {
		w.busy = true
		in.busy[w.context]++
	}
}

// release undoes engage. What waited behind is taken up at the next look.
func (in *Inbox) release(w *waiter) {
	if !w.busy {
		return
	}
	w.busy = false
	if in.busy[w.context]--; in.busy[w.context] == 0 {
		delete(in.busy, w.context)
		if len(in.behind[w.context]) > 0 {
			in.freed = append(in.freed, w.context)
		}
	}
}

// follows reports whether an event has to wait behind one of its context, and
// lets it.
func (in *Inbox) follows(a arrival) bool {
	if a.context == "" || in.busy[a.context] == 0 && len(in.behind[a.context]) == 0 {
		return false
	}
	in.bodies.keep(a)
	in.fallBehind(waiterOf(a))
	return true
}

// fallBehind has an event wait in its place among those of its context.
func (in *Inbox) fallBehind(w *waiter) {
	q := in.behind[w.context]
	i := len(q)
	for i > 0 && q[i-1].seq > w.seq {
		i--
	}
	in.behind[w.context] = slices.Insert(q, i, w)
	in.nBehind++
	in.noteWaiting(w.about(), w.from, whyBehind, 0)
	in.stale = true
}

// followsDoubt reports whether an earlier task of the same context and subject
// is in doubt. It engages its context again then, if nobody subscribed to it for
// a while: the planes of a subject are given their tasks in order.
func (in *Inbox) followsDoubt(context, subject string, seq uint64) bool {
	found := false
	for _, d := range in.doubts {
		if context != "" && d.w.context == context && d.w.subject == subject && d.w.seq < seq {
			in.engage(d.w)
			found = true
		}
	}
	return found
}

// advance takes up what waited behind an event that is done.
func (in *Inbox) advance(ctx context.Context) error {
	for len(in.freed) > 0 {
		contexts := in.freed
		in.freed = nil
		for _, c := range contexts {
			if err := in.advanceContext(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *Inbox) advanceContext(ctx context.Context, c string) error {
	for len(in.behind[c]) > 0 && in.busy[c] == 0 {
		w := in.behind[c][0]
		a, err := in.reread(ctx, w.seq)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			in.freed = append(in.freed, c)
			return err
		}
		if in.behind[c] = in.behind[c][1:]; len(in.behind[c]) == 0 {
			delete(in.behind, c)
		}
		in.nBehind--
		in.stale = true
		if err != nil {
			in.vanished(w.seq)
			continue
		}
		a.id, a.context = w.id, w.context
		if err := in.offerNow(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// doubted returns the first doubt of each context about a subject.
func (in *Inbox) doubted(subject string) map[string]*doubt {
	var out map[string]*doubt
	for _, d := range in.doubts {
		if d.w.subject != subject || d.w.context == "" {
			continue
		}
		if out == nil {
			out = map[string]*doubt{}
		}
		if o := out[d.w.context]; o == nil || d.w.seq < o.w.seq {
			out[d.w.context] = d
		}
	}
	return out
}

// followDoubt has what waited for a subscriber wait behind an earlier event of
// its context and subject that is in doubt. While nobody subscribed that one held
// up nobody; now it may be given again, and before.
func (in *Inbox) followDoubt(d *doubt, w *waiter) {
	in.engage(d.w)
	in.waiting.remove(w)
	in.release(w)
	again := *w
	again.gone, again.busy = false, false
	q := in.behind[w.context]
	at := slices.IndexFunc(q, func(o *waiter) bool { return o.seq > w.seq })
	if at < 0 {
		at = len(q)
	}
	in.behind[w.context] = slices.Insert(q, at, &again)
	in.nBehind++
	in.stale = true
}
