package inbox

import (
	"strconv"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// about says which event a is, as far as it was read.
func (a *arrival) about() bridge.About {
	switch {
	case a.id != "":
		return bridge.About{ID: a.id, Type: a.subject, Context: a.context}
	case a.packed:
		return bridge.About{ID: string(a.from) + ":" + strconv.FormatUint(a.nth, 10), Type: a.subject}
	}
	return bridge.About{ID: a.hop, Type: a.subject}
}

func (w *waiter) about() bridge.About {
	return bridge.About{ID: w.id, Type: w.subject, Context: w.context}
}

func (cl *claim) about() bridge.About { return bridge.About{ID: cl.triggered, Type: cl.subject} }

func (in *Inbox) note1(step bridge.Step, about bridge.About, peer topology.StampID, detail string) {
	in.cfg.Journal.Note(bridge.Moment{Step: step, About: about, Peer: peer, Detail: detail})
}

// noteCrossed tells that an event has come, at its first look. What could not be
// read becomes a dead letter, which is told of as well.
func (in *Inbox) noteCrossed(a *arrival, e *bridge.Event, stored time.Time) {
	if in.cfg.Journal == nil || stored.IsZero() {
		return
	}
	about := e.Names(a.subject)
	if e == nil {
		about = a.about()
	}
	in.cfg.Journal(bridge.Moment{Step: bridge.StepCrossed, At: stored, About: about, Peer: a.from, Trace: a.trace})
}

func (in *Inbox) noteDelivered(a *arrival, now time.Time) {
	if in.cfg.Journal == nil {
		return
	}
	m := bridge.Moment{Step: bridge.StepDelivered, At: now, About: a.about(), Peer: a.from, N: in.subscribed[a.subject].size()}
	if a.again {
		m.Step = bridge.StepReoffered
	}
	if in.wanted(a.subject) {
		m.Detail = "offered to planes that poll"
	}
	in.cfg.Journal(m)
}

// noteWaiting tells that an event waits, and for how long at most, if its origin
// has said so.
func (in *Inbox) noteWaiting(about bridge.About, from topology.StampID, why string, within time.Duration) {
	if in.cfg.Journal == nil {
		return
	}
	m := bridge.Moment{Step: bridge.StepWaiting, About: about, Peer: from, Detail: why}
	if within > 0 {
		m.Until = time.Now().Add(within)
	}
	in.cfg.Journal(m)
}
