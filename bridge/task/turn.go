package task

import (
	"fmt"
	"time"

	"github.com/ringway/ringway/topology"
)

// A Turn says which one stamp has a task that any of several may do.
type Turn struct {
	Stamp   topology.StampID `json:"stamp,omitempty"` // empty: nobody has it
	Attempt int              `json:"attempt"`         // counts offers, from 1
	Since   time.Time        `json:"since"`           // of the offer, or of the leave
	Round   int              `json:"round"`           // how often all were asked in vain
	Next    time.Time        `json:"next,omitzero"`   // nobody has it: when to ask again
	Over    bool             `json:"over,omitempty"`  // somebody started, or the deadline passed
}

// The wait before all stamps are asked again.
const (
	firstRound = time.Second
	lastRound  = 30 * time.Second
)

// Offer returns the stamp that the task is to be offered to now, if there is
// one, and takes note that it is. away reports stamps that do not answer: they
// are asked after the others.
//
// A stamp that had leave keeps the task until it says that it lets go of it
// (Pass) or the deadline passes, also when nothing is heard of it: its planes may
// be at work behind a cut link, and a second stamp would do the work twice.
func (t *Task) Offer(now time.Time, away func(topology.StampID) bool) (topology.StampID, bool) {
	turn := t.Turn
	switch {
	case turn.Over:
		return "", false
	case turn.Stamp == "" && now.Before(turn.Next):
		return "", false
	case turn.Stamp != "" && now.Sub(turn.Since) < t.StartWithin:
		return "", false
	case turn.Stamp != "" && t.seat(turn.Stamp).Granted:
		return "", false
	}
	next := t.candidate(away)
	if next == nil {
		t.rest(now)
		return "", false
	}
	if was := t.seat(turn.Stamp); was != nil && was.State == Asked {
		was.State = Declined
	}
	next.State = Asked
	turn.Stamp, turn.Since = next.Stamp, now
	turn.Attempt++
	return next.Stamp, true
}

// candidate returns the best seat that may still be asked in this round.
func (t *Task) candidate(away func(topology.StampID) bool) *Seat {
	var far *Seat
	for _, s := range t.Seats {
		if s.State != "" {
			continue
		}
		if !away(s.Stamp) {
			return s
		}
		if far == nil {
			far = s
		}
	}
	return far
}

// rest ends a round in which nobody took the task. All are asked again later.
func (t *Task) rest(now time.Time) {
	turn := t.Turn
	for _, s := range t.Seats {
		s.State = ""
	}
	turn.Stamp = ""
	turn.Next = now.Add(min(firstRound<<min(turn.Round, 10), lastRound))
	turn.Round++
}

// Overdue returns the stamp that has leave and whose planes have not started in
// time: it is to be asked to let go.
func (t *Task) Overdue(now time.Time) (topology.StampID, bool) {
	turn := t.Turn
	s := t.seat(turn.Stamp)
	if turn.Over || s == nil || !s.Granted || now.Sub(turn.Since) < t.StartWithin {
		return "", false
	}
	return turn.Stamp, true
}

// Claim reports whether a stamp has leave to give the task to its planes. It
// may ask again.
func (t *Task) Claim(stamp topology.StampID, attempt int, now time.Time) (leave, changed bool) {
	turn := t.Turn
	s := t.seat(stamp)
	if turn == nil || s == nil || turn.Stamp != stamp || turn.Attempt != attempt || s.State == Expired {
		return false, false
	}
	if s.Granted {
		return true, false
	}
	if turn.Over {
		return false, false
	}
	s.Granted, turn.Since = true, now
	return true, true
}

// Pass takes note that the stamp has no plane, or lets go of a task that none of
// its planes has got: the next may be asked at once.
func (t *Task) Pass(stamp topology.StampID, attempt int) (changed bool) {
	turn := t.Turn
	s := t.seat(stamp)
	if turn == nil || s == nil || turn.Over || turn.Stamp != stamp || turn.Attempt != attempt {
		return false
	}
	s.State, s.Granted = Declined, false
	turn.Since = time.Time{}
	return true
}

// Expire ends a task that nobody started in its deadline, or in limit if it has
// none. It returns what to answer, and whether to set the event aside instead.
func (t *Task) Expire(now time.Time, limit time.Duration) (order *Order, dead bool) {
	if t.Turn == nil || t.Turn.Over {
		return nil, false
	}
	switch {
	case t.Deadline > 0 && now.Sub(t.Asked) >= t.Deadline:
		if t.OnDeadline == topology.DeadlineIgnore {
			t.Turn.Over, t.Turn.Stamp = true, ""
			return nil, true
		}
		s := t.seat(t.Turn.Stamp)
		if s == nil {
			s = t.Seats[0]
		}
		t.Turn.Stamp, s.State = s.Stamp, Asked
		o := t.absent(s.Stamp)
		o.Why = fmt.Sprintf("no stamp of rule %s started the task within %s, its deadline", t.Rule, t.Deadline)
		return &o, false
	case now.Sub(t.Asked) >= limit:
		t.Turn.Over, t.Turn.Stamp = true, ""
		return nil, true
	}
	return nil, false
}
