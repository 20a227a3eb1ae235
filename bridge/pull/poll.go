package pull

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// absentLists is in how many lists in a row an event must be missing before it
// counts as gone, besides the time.
const absentLists = 3

// poll asks a control plane for its open events until ctx ends.
func (t *term) poll(ctx context.Context, up *upstream) {
	l := newLister(up)
	said := ""
	for failures := 0; ctx.Err() == nil; {
		err := t.round(ctx, l)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errFenced) {
			t.fail(err)
			return
		}
		text, wait := "", t.cfg.Interval
		if err == nil {
			failures = 0
			t.metrics.polls.WithLabelValues(up.name, "ok").Inc()
			t.metrics.last.WithLabelValues(up.name).SetToCurrentTime()
		} else {
			text = err.Error()
			wait = t.backoff(failures)
			failures++
			t.metrics.polls.WithLabelValues(up.name, "failed").Inc()
		}
		t.tell(up.name, text, &said, wait)
		if !pause(ctx, max(jittered(wait), up.silence())) {
			return
		}
	}
}

// backoff returns how long to wait after so many failures in a row.
func (t *term) backoff(failures int) time.Duration {
	return min(t.cfg.Interval<<min(failures, 20), t.cfg.MaxBackoff)
}

// tell notes how a round has ended, and says so when it differs from the last.
func (t *term) tell(control, text string, said *string, wait time.Duration) {
	t.mu.Lock()
	p := t.polls[control]
	if p == nil {
		p = &pollResult{}
		t.polls[control] = p
	}
	p.err = text
	if text == "" {
		p.at = time.Now()
	}
	t.mu.Unlock()
	switch {
	case text != "" && *said == "":
		t.cfg.Log.Warn("control plane not polled, will try again", "control", control, "err", text, "after", wait)
	case text == "" && *said != "":
		t.cfg.Log.Info("control plane polled again", "control", control)
	}
	*said = text
}

// types returns what to poll.
func (t *term) types() []string {
	all := slices.Concat(t.cfg.Always, t.cfg.Types())
	all = slices.DeleteFunc(all, func(typ string) bool {
		return typ == "" || strings.ContainsAny(typ, "*>") || !strings.HasSuffix(typ, ".triggered")
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// round asks for the open events of every type. That one type is refused does
// not keep the others away.
func (t *term) round(ctx context.Context, l *lister) error {
	if err := t.injectDue(ctx, l.up.name); err != nil {
		return err
	}
	var errs []error
	for _, typ := range t.types() {
		events, err := l.open(ctx, typ)
		if err == nil {
			err = t.intake(ctx, l.up.name, typ, events)
		}
		var refused *refusal
		switch {
		case errors.As(err, &refused) && (refused.code == http.StatusNotFound || refused.code == http.StatusBadRequest):
			errs = append(errs, err)
		case err != nil:
			return err
		}
	}
	return errors.Join(errs...)
}

// intake takes over the events of a list that are new, and notes which of the
// others it has not.
func (t *term) intake(ctx context.Context, control, typ string, events []listed) error {
	listed := map[string]bool{}
	for i := range events {
		r, err := newIn(control, typ, &events[i])
		if err != nil {
			return err
		}
		listed[r.name()] = true
		if t.has(r.name()) {
			continue
		}
		if err := t.learn(ctx, r); err != nil {
			return err
		}
	}
	t.miss(control, typ, listed, time.Now())
	return nil
}

// has reports whether an open event is known and has been put in.
func (t *term) has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.in[name]
	return k != nil && k.rec.state == stateDone
}

// miss notes which known events of a type were not listed.
func (t *term) miss(control, typ string, listed map[string]bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for name, k := range t.in {
		if k.rec.control != control {
			continue
		}
		n++
		switch {
		case k.rec.subject != typ:
		case listed[name]:
			k.absent = 0
		default:
			if k.absent++; k.absent == 1 {
				k.since = now
			}
		}
	}
	t.metrics.known.WithLabelValues(control).Set(float64(n))
}

// forget removes what has been off the list for long enough, and answers that
// nobody hands over any more.
func (t *term) forget(ctx context.Context, now time.Time) {
	t.mu.Lock()
	var gone []*record
	for _, k := range t.in {
		if k.rec.state == stateDone && k.absent >= absentLists && now.Sub(k.since) >= t.cfg.Keep {
			gone = append(gone, k.rec)
		}
	}
	for name, a := range t.out {
		if a.at.IsZero() || now.Sub(a.at) <= doneAge {
			continue
		}
		delete(t.out, name) // the stream has removed it by itself
		if t.prints[a.print]--; t.prints[a.print] <= 0 {
			delete(t.prints, a.print)
		}
	}
	t.mu.Unlock()
	for _, r := range gone {
		if err := t.store.forget(ctx, r); err != nil {
			t.cfg.Log.Debug("event not forgotten, will try again", "err", err)
			return
		}
		t.mu.Lock()
		delete(t.in, r.name())
		t.mu.Unlock()
	}
}
