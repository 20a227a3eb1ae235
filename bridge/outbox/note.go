package outbox

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// pulled begins the id under which bridge/pull puts in what it has polled.
const pulled = "pull:"

// names says which event was captured. One that is no CloudEvent is named by its
// hop.
func (o *Outbox) names(c *captured) bridge.About {
	a := c.event.Names(c.subject)
	if c.event == nil {
		a.ID = hopID(o.cfg.Me, c.seq)
	}
	return a
}

// noteCaptured tells how an event came.
func (o *Outbox) noteCaptured(m jetstream.Msg, c *captured) {
	if o.cfg.Journal == nil {
		return
	}
	step := bridge.StepCaptured
	if h := m.Headers(); h != nil {
		switch {
		case h.Get(bridge.HeaderTaken) != "":
			step = bridge.StepTaken
		case strings.HasPrefix(h.Get(nats.MsgIdHdr), pulled):
			step = bridge.StepPolled
		}
	}
	o.cfg.Journal(bridge.Moment{Step: step, At: c.at, About: o.names(c), Trace: c.trace})
}

// noteRouted tells where an event goes. One that must not cross is told of by
// whoever sets it aside.
func (o *Outbox) noteRouted(c *captured, targets []bridge.Target) {
	if o.cfg.Journal == nil {
		return
	}
	if len(targets) == 0 {
		targets = c.decision.Candidates
	}
	o.cfg.Journal(bridge.Moment{Step: bridge.StepRouted, About: o.names(c), Tried: c.decision.Tried, Targets: targets})
}

// about says which event an item is a copy of.
func (it *item) about(me topology.StampID) bridge.About {
	if it.event != nil {
		return it.event.Names("")
	}
	a := bridge.About{ID: it.id, Type: it.Subject, Context: it.order}
	if a.ID == "" {
		a.ID, a.Context = hopID(me, it.Hop), ""
	}
	return a
}

func (l *lane) noteStored(it *item, now time.Time) {
	if l.o.cfg.Journal != nil {
		l.o.cfg.Journal(bridge.Moment{Step: bridge.StepStored, At: now, About: it.about(l.o.cfg.Me), Peer: l.target})
	}
}

func (l *lane) noteHeld(it *item) {
	if l.o.cfg.Journal == nil {
		return
	}
	s := l.state.Load()
	since := time.Now()
	if s.Holding {
		since = s.Since
	}
	why := l.lastErr
	if why == "" {
		why = s.Err
	}
	l.o.cfg.Journal(bridge.Moment{
		Step: bridge.StepHeld, About: it.about(l.o.cfg.Me), Peer: l.target,
		Detail: "it is away since " + since.UTC().Format(time.TimeOnly) + ": " + why,
	})
}

// trace gives a copy of an event its place in the trace.
func (o *Outbox) trace(it *item, about bridge.About, came string, to topology.StampID) {
	if o.cfg.Trace != nil {
		it.Trace = o.cfg.Trace(about, came, to)
	}
}
