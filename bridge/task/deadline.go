package task

import (
	"fmt"
	"time"

	"github.com/ringway/ringway/topology"
)

// An Order is an answer to be written in a stamp's name.
type Order struct {
	Stamp   topology.StampID
	Source  string // the plane it stands for
	Start   bool   // with a .started before the .finished
	Errored bool   // else a warning: the rule says to go on without the stamp
	Why     string
}

// Due returns what is to be written for stamps that missed the deadline. With
// OnDeadline ignore a stamp that has not started is left out at once, which
// changes the task; unless none has started, for then there is nothing to go on
// with, and whoever starts first is welcome.
func (t *Task) Due(now time.Time) (orders []Order, changed bool) {
	if t.Deadline == 0 || t.Turn != nil {
		return nil, false
	}
	for _, s := range t.Seats {
		switch {
		case s.State == Asked && now.Sub(t.Asked) >= t.Deadline:
			if t.OnDeadline == topology.DeadlineIgnore && !t.begun() {
				continue
			}
			if t.OnDeadline == topology.DeadlineIgnore {
				s.State, changed = Expired, true
				continue
			}
			orders = append(orders, t.absent(s.Stamp))
		case s.State == Started && len(t.Seats) > 1 && now.Sub(t.waitsFor(s)) >= t.Deadline:
			orders = append(orders, t.silent(s)...)
		}
	}
	return orders, changed
}

// Half returns what is to be written for stamps in whose name a .started was
// written and no .finished: the process stopped in between.
func (t *Task) Half() (orders []Order) {
	for _, s := range t.Seats {
		o := t.absent(s.Stamp)
		if p := s.Planes[o.Source]; p != nil && p.Started != "" && p.Finished == "" {
			orders = append(orders, o)
		}
	}
	return orders
}

// begun reports whether any stamp has started.
func (t *Task) begun() bool {
	for _, s := range t.Seats {
		if len(s.Planes) > 0 {
			return true
		}
	}
	return false
}

// absent answers for a stamp whose planes have not started.
func (t *Task) absent(stamp topology.StampID) Order {
	return Order{
		Stamp: stamp, Source: sourceOf(stamp), Start: true, Errored: true,
		Why: fmt.Sprintf("stamp %s did not start the task within %s, the deadline of rule %s", stamp, t.Deadline, t.Rule),
	}
}

// silent answers for the planes of a stamp that have not finished.
func (t *Task) silent(s *Seat) (orders []Order) {
	for source, p := range s.Planes {
		if p.Started == "" || p.Finished != "" {
			continue
		}
		orders = append(orders, Order{
			Stamp: s.Stamp, Source: source, Errored: t.OnDeadline != topology.DeadlineIgnore,
			Why: fmt.Sprintf("stamp %s started the task and did not finish it: all others had, %s ago, the deadline of rule %s", s.Stamp, t.Deadline, t.Rule),
		})
	}
	return orders
}

// waitsFor returns since when the task waits for nobody but s; in the future
// if it does not. A task may run for longer than its deadline, as long as
// another stamp still runs it, too, or it shows that it is alive.
func (t *Task) waitsFor(s *Seat) time.Time {
	since := s.Heard
	for _, o := range t.Seats {
		if o == s || o.State == Expired || o.State == Declined {
			continue
		}
		if o.State != Finished {
			return time.Unix(1<<40, 0)
		}
		if o.Heard.After(since) {
			since = o.Heard
		}
	}
	return since
}

// Decline takes note that a stamp has no plane for the task.
func (t *Task) Decline(stamp topology.StampID) (changed bool) {
	if s := t.seat(stamp); s != nil && s.State == Asked {
		s.State = Declined
		return true
	}
	return false
}

// sourceOf is who speaks in a stamp's name.
func sourceOf(stamp topology.StampID) string { return "ringway/" + string(stamp) }
