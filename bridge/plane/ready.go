package plane

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

const (
	// settleTime is how long after the answer to its ping a plane gets no events
	// yet: it has to read it first.
	settleTime = 100 * time.Millisecond
	// unreadyFor is after what time a plane that subscribes, has registered and
	// does not ping is given events all the same: it speaks by another address.
	unreadyFor = time.Minute
	// unmetFor is the same for one that does not subscribe, which may poll.
	unmetFor = 15 * time.Second
)

// Ready reports whether the planes that subscribe to subject can take events,
// and if not, why. A distributor that has registered loses what it is given
// before its first ping is answered (contract §8-2).
func (r *Registry) Ready(subject string) (ok bool, why string) {
	if !r.unsettled.Load() {
		return true, ""
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	busy := false
	for id, h := range r.planes {
		fresh := now.Sub(h.pinged) < settleTime
		if !h.rec.Deleted.IsZero() || h.rec.How != NATS || len(h.rec.Unready) == 0 && !fresh {
			continue
		}
		limit := unmetFor
		if r.met[id] || r.blind() {
			limit = unreadyFor
		}
		waits := ""
		for addr, since := range h.rec.Unready {
			if now.Sub(since) < limit {
				waits = addr
			}
		}
		if waits == "" && !fresh {
			continue
		}
		busy = true
		switch {
		case !h.rec.wants(subject):
		case fresh:
			return false, "plane " + h.rec.Asked.Name + " has just begun"
		default:
			return false, fmt.Sprintf("plane %s at %s has registered and not pinged yet", h.rec.Asked.Name, waits)
		}
	}
	r.unsettled.Store(busy)
	return true, ""
}

// blind reports whether not all clients of the stamp can be seen.
func (r *Registry) blind() bool { return r.cfg.View().Me.Clients.Mode == topology.ClientsExternal }

// wants reports whether any subscription of the plane takes subject, or one that
// it asks for.
func (r *Record) wants(subject string) bool {
	for _, s := range r.Asked.Subscriptions {
		if s.takes(subject) {
			return true
		}
	}
	for _, s := range r.subscriptions() {
		if s.takes(subject) {
			return true
		}
	}
	return false
}

// Integrations returns the planes that registered under a caller, as they see
// themselves.
func (r *Registry) Integrations(caller string) []Integration {
	var out []Integration
	for rec, seen := range r.records() {
		if rec.Caller == caller {
			out = append(out, rec.inward(seen))
		}
	}
	return out
}

// pollIndex is the subjects that planes poll for.
type pollIndex struct {
	types    map[string]bool
	patterns []topology.Pattern
}

// Polled reports whether a plane that polls subscribes to subject. It is quick.
func (r *Registry) Polled(subject string) bool {
	p := r.polls.Load()
	if p == nil {
		p = r.indexPolls()
	}
	if p.types[subject] {
		return true
	}
	for _, t := range p.patterns {
		if t.Match(topology.Subject(subject)) {
			return true
		}
	}
	return false
}

// indexPolls works out what planes poll for.
func (r *Registry) indexPolls() *pollIndex {
	p := &pollIndex{types: map[string]bool{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.planes {
		rec := h.rec
		// One that registered by the names of the cluster subscribes, or will: what
		// is kept for polls would count as taken, and it gets nothing. Should it
		// poll all the same, its polls tell (pollers).
		if !rec.Deleted.IsZero() || rec.Via == NATS || rec.How == NATS {
			continue
		}
		for _, s := range append(rec.subscriptions(), rec.Asked.Subscriptions...) {
			if strings.ContainsAny(s.Event, "*>") {
				p.patterns = append(p.patterns, topology.Pattern(s.Event))
			} else {
				p.types[s.Event] = true
			}
		}
	}
	for _, types := range r.polled { // who has not registered
		for event := range types {
			if strings.ContainsAny(event, "*>") {
				p.patterns = append(p.patterns, topology.Pattern(event))
			} else {
				p.types[event] = true
			}
		}
	}
	r.polls.Store(p)
	return p
}
