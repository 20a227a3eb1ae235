package trace

import (
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// maxOpen bounds how many events are remembered that may have a span to end. Of
// one that is forgotten spans begin where they end.
const maxOpen = 20_000

// Config is what a Tracer needs.
type Config struct {
	Me    topology.StampID
	Ratio float64         // of the traces that are recorded, where nobody has decided before
	Put   func(span Span) // takes what is over; it does not wait
}

// A Tracer is told of every step that events take, and makes spans of them. Its
// methods are safe for concurrent use.
type Tracer struct {
	cfg Config

	mu    sync.Mutex // guards the following fields
	open  map[string]*way
	order []string // of open, oldest first
}

// A way is what is known of an event that is under way.
type way struct {
	trace   ID
	sampled bool
	since   time.Time // captured or stored here
	last    time.Time // of the last step
	waits   time.Time // zero: it does not
	why     string
	sent    map[topology.StampID]*leg
	started map[topology.StampID]time.Time // of a task: who has started
	barrier time.Time                      // of an answer: held since
}

// A leg is a copy that is on its way to a target.
type leg struct {
	since time.Time
	held  time.Time
	why   string
}

// New returns a Tracer that has been told nothing.
func New(cfg Config) *Tracer { return &Tracer{cfg: cfg, open: map[string]*way{}} }

// Header returns the header traceparent for a copy of an event that is about to
// be sent to a stamp; for the clients of this one, if to is empty.
func (t *Tracer) Header(about bridge.About, came string, to topology.StampID) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.find(&about, came)
	p := Parent{Trace: w.trace, Sampled: w.sampled}
	if to == "" {
		p.Span = t.deliver(about.ID)
	} else {
		p.Span = t.forward(about.ID, to)
	}
	return p.String()
}

func (t *Tracer) capture(event string) SpanID { return spanOf("capture", event, string(t.cfg.Me)) }
func (t *Tracer) store(event string) SpanID   { return spanOf("store", event, string(t.cfg.Me)) }
func (t *Tracer) deliver(event string) SpanID { return spanOf("deliver", event, string(t.cfg.Me)) }
func (t *Tracer) forward(event string, to topology.StampID) SpanID {
	return spanOf("forward", event, string(t.cfg.Me), string(to))
}

// find returns what is known of an event. Whether it is recorded is said by the
// header that it came with, by the task that it answers, or else by lot. The
// caller holds mu.
func (t *Tracer) find(a *bridge.About, came string) *way {
	if w := t.open[a.ID]; w != nil {
		return w
	}
	w := &way{trace: Of(a.Context, a.ID)}
	if p, ok := ParseParent(came); ok {
		w.sampled = p.Sampled
	} else if task := t.open[a.Triggered]; a.Triggered != "" && task != nil {
		w.sampled = task.sampled
	} else {
		w.sampled = w.trace.lot() < t.cfg.Ratio
	}
	for len(t.order) >= maxOpen {
		delete(t.open, t.order[0])
		t.order = t.order[1:]
	}
	id := strings.Clone(a.ID) // it is a part of the body
	t.open[id] = w
	t.order = append(t.order, id)
	return w
}

// Note implements bridge.Scribe.
func (t *Tracer) Note(m bridge.Moment) {
	if m.About.ID == "" {
		return // nothing that can be found again
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.find(&m.About, m.Trace)
	if !w.sampled {
		return
	}
	if w.last.IsZero() {
		w.since, w.last = now, now
	}
	switch m.Step {
	case bridge.StepCaptured, bridge.StepTaken, bridge.StepPolled, bridge.StepRouted, bridge.StepOffered, bridge.StepHeld, bridge.StepStored:
		t.leaving(w, &m, now)
	case bridge.StepCrossed, bridge.StepWaiting, bridge.StepDelivered, bridge.StepReoffered, bridge.StepClaimed:
		t.arriving(w, &m, now)
	case bridge.StepStarted, bridge.StepProgress, bridge.StepBarrier, bridge.StepFinished, bridge.StepDeadline, bridge.StepTold:
		t.answered(w, &m, now)
	case bridge.StepDropped, bridge.StepDeclined, bridge.StepRefused, bridge.StepDead, bridge.StepReplayed:
		t.ended(w, &m, now)
	}
	w.last = now
}

// put gives away a span of an event. The caller holds mu.
func (t *Tracer) put(w *way, m *bridge.Moment, s Span) {
	s.Trace = w.trace
	if s.Kind == 0 {
		s.Kind = Internal
	}
	add := func(key, value string) {
		if value != "" {
			s.Attrs = append(s.Attrs, Attr{key, strings.Clone(value)})
		}
	}
	a := &m.About
	add("cloudevents.event_id", a.ID)
	add("cloudevents.event_type", a.Type)
	add("cloudevents.event_source", a.Source)
	add("keptn.context", a.Context)
	add("keptn.triggered_id", a.Triggered)
	add("keptn.project", a.Project)
	add("keptn.stage", a.Stage)
	add("keptn.service", a.Service)
	add("ringway.peer", string(m.Peer))
	t.cfg.Put(s)
}
