package task

import (
	"fmt"

	"github.com/ringway/ringway/topology"
)

// Left returns what is to be written for stamps that were taken out of the
// topology while they had the task: planes that started and will not be heard of
// again are answered for. A stamp that had not started is left out, which
// changes the task; if nobody else is left to answer, it is answered for, too.
func (t *Task) Left(knows func(topology.StampID) bool) (orders []Order, changed bool) {
	for _, s := range t.Seats {
		if s.State.settled() || knows(s.Stamp) {
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
