package task

import (
	"context"
	"fmt"
	"time"

	"github.com/ringway/ringway/topology"
)

// Left returns what is to be written for stamps that were taken out of the
// topology while they had the task, or were out of it when it was to reach them: planes that started and will not be heard of
// again are answered for. A stamp that had not started is left out, which
// changes the task; if nobody else is left to answer, it is answered for, too.
func (t *Task) Left(knows func(topology.StampID) bool) (orders []Order, changed bool) {
	for _, s := range t.Seats {
		if s.State.settled() || knows(s.Stamp) && !s.missed() {
			continue
		}
		why := fmt.Sprintf("stamp %s was removed from the topology before it had finished the task", s.Stamp)
		switch {
		case t.Turn != nil && t.Turn.Stamp != s.Stamp:
			if s.State == "" { // not to be asked in this round
				s.State = Declined
			}
		case s.running():
			orders = append(orders, s.unfinished(why)...)
		case len(s.Planes) > 0: // has finished; its answers wait for others
		case t.Turn != nil:
			changed = t.Pass(s.Stamp, t.Turn.Attempt) || changed
		case t.others(s):
			s.State, changed = Expired, true
		default:
			orders = append(orders, Order{Stamp: s.Stamp, Source: "ringway/" + string(s.Stamp), Start: true, Errored: true, Why: why})
		}
	}
	return orders, changed
}

// Unreached takes note that the event became a dead letter on its way to a stamp,
// which is not to be waited for even if it is back in the topology. One that has
// answered or has leave to give it to its planes has it all the same: only the
// word of that was lost.
func (t *Task) Unreached(stamp topology.StampID, attempt int) (changed bool) {
	s := t.seat(stamp)
	switch {
	case s == nil || s.State.settled() || s.Granted:
		return false
	case t.Turn != nil:
		return t.Pass(stamp, attempt)
	}
	s.Unreached = true
	return s.missed()
}

// missed reports whether the event became a dead letter and the stamp has shown
// no sign of having it.
func (s *Seat) missed() bool { return s.Unreached && len(s.Planes) == 0 }

// Unreached takes note that a task has become a dead letter on its way to a
// stamp, in an attempt if it was offered, and returns once that is stored. It
// fails while it may be about a task that is not read yet.
func (ts *Tasks) Unreached(ctx context.Context, triggered string, to topology.StampID, attempt int) error {
	t, err := ts.find(ctx, triggered)
	if err != nil {
		return err
	}
	ts.mu.Lock()
	if t == nil {
		defer ts.mu.Unlock()
		if !ts.caughtUp {
			return errNotCaughtUp
		}
		return nil // long over
	}
	changed := t.Unreached(to, attempt)
	if changed {
		if ts.open[t.ID] == nil {
			ts.keep(t)
		}
		ts.watch(t.ID, time.Time{})
	}
	ts.mu.Unlock()
	if !changed {
		return nil
	}
	return ts.save(ctx, []*Task{t})
}

// others reports whether another stamp has answered or may do so.
func (t *Task) others(s *Seat) bool {
	for _, o := range t.Seats {
		if o != s && o.State != Expired && o.State != Declined {
			return true
		}
	}
	return false
}

// unfinished answers for the planes of a stamp that have not finished.
func (s *Seat) unfinished(why string) (orders []Order) {
	for source, p := range s.Planes {
		if p.Started != "" && p.Finished == "" {
			orders = append(orders, Order{Stamp: s.Stamp, Source: source, Errored: true, Why: why})
		}
	}
	return orders
}
