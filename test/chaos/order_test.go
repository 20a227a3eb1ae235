package chaos_test

import (
	"slices"
	"strings"

	"github.com/ringway/ringway/bridge"
)

// order asks that everybody was given the events of one publisher and context
// in the order in which they were published.
func (b *books) order() {
	last := map[way]*event{}
	for _, x := range b.s.j.sighted {
		e := b.s.j.byKey[x.key]
		if e == nil || e.stamp == x.stamp {
			continue
		}
		for _, w := range b.ways(e, x) {
			p := last[w]
			if p != nil && p.n > e.n && p.key != e.key && b.steady(e, x) && b.steady(p, x) {
				b.find("DISORDER: %s in %s was given %v after %v: %s", x.by, x.stamp, e, p, b.trail(e))
			}
			last[w] = e
		}
	}
}

// A way is what keeps an order: from one publisher to one reader, one context
// or task.
type way struct{ from, by, group, to, reader string }

// ways returns the orders in which a sighting has a place.
func (b *books) ways(e *event, x sighting) []way {
	w := way{from: e.stamp, by: e.by, to: x.stamp, reader: x.by, group: "context " + e.Context}
	if e.TriggeredID == "" {
		if isTurn(e) {
			return nil // comes when it is this stamp's turn
		}
		if !asksOrderAcrossSubjects {
			w.group += e.Type
		}
		return []way{w}
	}
	within := w
	within.group = "task " + e.TriggeredID
	if strings.HasSuffix(e.Type, finished) && (slices.Contains(shared, e.Stage) || b.shared(e.TriggeredID)) {
		return []way{within} // held until every stamp has started
	}
	return []way{w, within}
}

// shared reports whether several stamps were asked to do a task.
func (b *books) shared(id string) bool { return b.parties[id] > 1 }

// steady reports whether every topology by which an event may have been routed
// sends it to the stamp where it was sighted. One that was not settled when its
// gateway stopped is routed again, and a topology that has changed meanwhile may
// then send it elsewhere, after later events.
func (b *books) steady(e *event, x sighting) bool {
	for _, v := range b.inForce(e.at, x.at) {
		if !slices.ContainsFunc(b.decide(e, v).Targets, func(t bridge.Target) bool { return string(t.Stamp) == x.stamp }) {
			return false
		}
	}
	return true
}
