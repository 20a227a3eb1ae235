package trace

import (
	"strings"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// leaving makes the spans of an event that clients of this stamp published. The
// caller holds mu, here and below.
func (t *Tracer) leaving(w *way, m *bridge.Moment, now time.Time) {
	id := m.About.ID
	switch m.Step {
	case bridge.StepCaptured, bridge.StepTaken, bridge.StepPolled:
		s := Span{ID: t.capture(id), Name: "capture", Kind: Consumer, Start: m.At, End: now}
		if s.Start.IsZero() || s.Start.After(now) {
			s.Start = now
		}
		p, ok := ParseParent(m.Trace)
		switch {
		case ok && p.Trace == w.trace:
			s.Parent = p.Span
		case m.About.Triggered != "" && m.About.Triggered != id: // an answer follows what it answers
			s.Parent = t.deliver(m.About.Triggered)
		}
		if ok && p.Trace != w.trace {
			s.Link = p
		}
		if m.Step != bridge.StepCaptured {
			s.Attrs = []Attr{{"ringway.captured", string(m.Step)}}
		}
		w.since = now
		t.put(w, m, s)
	case bridge.StepRouted:
		s := Span{ID: spanOf("route", id, string(t.cfg.Me)), Parent: t.capture(id), Name: "route", Start: w.last, End: now}
		var stamps, rules []string
		for _, target := range m.Targets {
			w.send(target.Stamp, now)
			stamps, rules = append(stamps, string(target.Stamp)), append(rules, target.Rule)
		}
		s.Attrs = []Attr{{"ringway.targets", strings.Join(stamps, ",")}, {"ringway.rules", strings.Join(rules, ",")}}
		t.put(w, m, s)
	case bridge.StepOffered:
		w.send(m.Peer, now)
		t.put(w, m, Span{
			ID: spanOf("offer", id, string(m.Peer), m.Until.String()), Parent: t.capture(id), Name: "offer", Start: now, End: now,
			Attrs: []Attr{{"ringway.attempt", m.N}},
		})
	case bridge.StepHeld:
		l := w.send(m.Peer, now)
		l.held, l.why = now, strings.Clone(m.Detail)
	case bridge.StepStored:
		l := w.send(m.Peer, now)
		s := Span{ID: t.forward(id, m.Peer), Parent: t.capture(id), Name: "forward", Kind: Producer, Start: l.since, End: now}
		if !l.held.IsZero() {
			s.Events = []Event{{Name: "held", At: l.held, Text: l.why}}
		}
		delete(w.sent, m.Peer)
		t.put(w, m, s)
	}
}

// send returns the leg to a target, which begins now unless it has begun before.
func (w *way) send(to topology.StampID, now time.Time) *leg {
	l := w.sent[to]
	if l == nil {
		if w.sent == nil {
			w.sent = map[topology.StampID]*leg{}
		}
		l = &leg{since: now}
		w.sent[topology.StampID(strings.Clone(string(to)))] = l
	}
	return l
}

// arriving makes the spans of an event that another stamp sent.
func (t *Tracer) arriving(w *way, m *bridge.Moment, now time.Time) {
	id := m.About.ID
	switch m.Step {
	case bridge.StepCrossed:
		s := Span{
			ID: t.store(id), Name: "store", Kind: Consumer, Start: m.At, End: now,
			Parent: spanOf("forward", id, string(m.Peer), string(t.cfg.Me)),
		}
		if p, ok := ParseParent(m.Trace); ok && p.Trace == w.trace {
			s.Parent = p.Span
		}
		if s.Start.IsZero() || s.Start.After(now) {
			s.Start = now
		}
		t.put(w, m, s)
	case bridge.StepWaiting:
		if w.waits.IsZero() {
			w.waits = now
		}
		w.why = strings.Clone(m.Detail)
	case bridge.StepClaimed, bridge.StepDelivered, bridge.StepReoffered:
		since := w.last
		if !w.waits.IsZero() {
			t.put(w, m, Span{
				ID: spanOf("wait", id, string(t.cfg.Me), w.waits.String()), Parent: t.store(id), Name: "wait", Start: w.waits, End: now,
				Attrs: []Attr{{"ringway.reason", w.why}},
			})
			since = now
		}
		w.waits, w.why = time.Time{}, ""
		if m.Step == bridge.StepClaimed {
			return
		}
		s := Span{ID: t.deliver(id), Parent: t.store(id), Name: "deliver", Kind: Producer, Start: since, End: now}
		s.Attrs = []Attr{{"ringway.subscribers", m.N}}
		if m.Step == bridge.StepReoffered {
			s.ID, s.Name = spanOf("deliver", id, string(t.cfg.Me), now.String()), "deliver again"
		}
		t.put(w, m, s)
	}
}

// answered makes the spans of a task that this stamp's control plane gave, and of
// the barrier that holds answers.
func (t *Tracer) answered(w *way, m *bridge.Moment, now time.Time) {
	task := m.About.Triggered
	if task == "" { // the step is about the task itself
		if m.Step == bridge.StepDeadline || m.Step == bridge.StepTold {
			s := Span{ID: spanOf(string(m.Step), m.About.ID, string(m.Peer)), Parent: t.capture(m.About.ID), Name: string(m.Step), Start: now, End: now}
			if m.Step == bridge.StepDeadline {
				s.Failed = "no answer in time: " + m.Detail
			}
			t.put(w, m, s)
		}
		return
	}
	given := t.open[task]
	begun := now
	if given != nil {
		begun = given.since
	}
	switch m.Step {
	case bridge.StepStarted:
		if given != nil {
			if given.started == nil {
				given.started = map[topology.StampID]time.Time{}
			}
			given.started[topology.StampID(strings.Clone(string(m.Peer)))] = now
		}
	case bridge.StepBarrier:
		if w.barrier.IsZero() {
			w.barrier = now
		}
	case bridge.StepFinished:
		of := spanOf("task", task, string(m.Peer))
		if !w.barrier.IsZero() {
			t.put(w, m, Span{
				ID: spanOf("barrier", m.About.ID), Parent: of, Name: "barrier", Start: w.barrier, End: now,
				Attrs: []Attr{{"ringway.started", m.N}, {"ringway.asked", m.Of}},
			})
		}
		s := Span{ID: of, Parent: t.capture(task), Name: "task", Start: begun, End: now}
		if given != nil {
			if at, ok := given.started[m.Peer]; ok {
				s.Events = []Event{{Name: "started", At: at}}
			}
		}
		t.put(w, m, s)
	}
}

// ended makes the span of an event that goes no further.
func (t *Tracer) ended(w *way, m *bridge.Moment, now time.Time) {
	s := Span{ID: spanOf(string(m.Step), m.About.ID, string(t.cfg.Me)), Name: string(m.Step), Start: w.last, End: now}
	switch m.Peer {
	case t.cfg.Me, "":
		s.Parent = t.capture(m.About.ID)
	default:
		s.Parent = t.store(m.About.ID)
	}
	s.Attrs = []Attr{{"ringway.reason", string(m.Reason)}, {"ringway.detail", strings.Clone(m.Detail)}}
	if m.Step == bridge.StepDead || m.Step == bridge.StepRefused {
		s.Failed = string(m.Reason)
	}
	t.put(w, m, s)
}
