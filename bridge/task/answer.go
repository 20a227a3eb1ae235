package task

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An Answer is one event that answers a task.
type Answer struct {
	Stamp  topology.StampID // who answers; for Ours the stamp that it stands for
	Ours   bool             // written by this gateway at a deadline
	Source string           // the plane
	Kind   Kind
	Key    bridge.Key
	Seq    uint64 // in RW_IN
}

// A Kind of answer.
type Kind int

// The kinds of answer.
const (
	KindStarted Kind = iota
	KindFinished
	KindOther // progress: it changes nothing
)

// kindOf reads the kind off an event type.
func kindOf(typ string) Kind {
	switch typ[strings.LastIndexByte(typ, '.')+1:] {
	case "started":
		return KindStarted
	case "finished":
		return KindFinished
	}
	return KindOther
}

func refuse(why bridge.Reason, format string, args ...any) bridge.Verdict {
	return bridge.Verdict{Do: bridge.Refuse, Reason: why, Detail: fmt.Sprintf(format, args...)}
}

// Answer takes note of an answer. The same answer may come again, after a
// restart or when it was held; it then has the same effect.
func (t *Task) Answer(a Answer, now time.Time) bridge.Verdict {
	s := t.seat(a.Stamp)
	switch {
	case s == nil:
		return refuse(bridge.ReasonNotAsked, "task %s was not given to stamp %s", t.ID, a.Stamp)
	case a.Ours:
		return t.ours(s, a, now)
	case t.Turn != nil && (t.Turn.Stamp != a.Stamp || !s.Granted):
		return refuse(bridge.ReasonNotAsked, "task %s is with stamp %s", t.ID, t.Turn.Stamp)
	case s.State == Expired:
		return refuse(bridge.ReasonLate, "stamp %s missed the deadline of %s", a.Stamp, t.Deadline)
	}
	s.Heard = now
	switch a.Kind {
	case KindStarted:
		return t.started(s, a, now)
	case KindFinished:
		return t.finished(s, a, now)
	}
	return bridge.Verdict{}
}

func (t *Task) started(s *Seat, a Answer, now time.Time) bridge.Verdict {
	p := s.plane(a.Source)
	switch p.Started {
	case a.Key:
		return bridge.Verdict{}
	case "":
	default:
		return refuse(bridge.ReasonRepeated, "%s of stamp %s has started the task already", a.Source, a.Stamp)
	}
	p.Started = a.Key
	t.LastStart = now
	if s.State != Expired {
		s.State = Started
	}
	if t.Turn != nil {
		t.Turn.Over = true
	}
	return bridge.Verdict{}
}

func (t *Task) finished(s *Seat, a Answer, now time.Time) bridge.Verdict {
	p := s.plane(a.Source)
	if p.Finished != "" && p.Finished != a.Key {
		return refuse(bridge.ReasonRepeated, "%s of stamp %s has finished the task already", a.Source, a.Stamp)
	}
	p.Finished = a.Key
	if t.Turn != nil {
		t.Turn.Over = true
	}
	if !t.Open(now) {
		t.hold(a.Seq)
		return bridge.Verdict{Do: bridge.Hold}
	}
	delete(t.held, a.Seq)
	if s.State != Expired && s.State != Asked && !s.running() {
		s.State = Finished
	}
	return bridge.Verdict{}
}

func (t *Task) hold(seq uint64) {
	if t.held == nil {
		t.held = map[uint64]bool{}
	}
	t.held[seq] = true
}

// ours takes an answer that this gateway wrote, at a deadline or about a task that
// waits. It was stored behind whatever the stamp itself had sent by then, which therefore wins.
func (t *Task) ours(s *Seat, a Answer, now time.Time) bridge.Verdict {
	if a.Kind == KindOther {
		if t.begun() {
			return bridge.Verdict{Do: bridge.Drop} // it waits no more
		}
		return bridge.Verdict{}
	}
	p := s.plane(a.Source)
	switch {
	case a.Kind == KindStarted && s.State != Asked && p.Started != a.Key:
		delete(s.Planes, a.Source)
		return bridge.Verdict{Do: bridge.Drop}
	case a.Kind == KindFinished && p.Started == "", p.Finished != "" && p.Finished != a.Key:
		if p.Started == "" {
			delete(s.Planes, a.Source)
		}
		return bridge.Verdict{Do: bridge.Drop}
	}
	if t.Turn != nil {
		t.Turn.Over, t.Turn.Stamp = true, s.Stamp
	}
	s.State = Expired
	if a.Kind == KindStarted {
		return t.started(s, a, now)
	}
	return t.finished(s, a, now)
}
