package plane

import (
	"fmt"
	"time"
)

// settleTime is how long after the answer to its ping a plane gets no events yet: it
// has to read it first.
const settleTime = 100 * time.Millisecond

// Ready reports whether the planes that subscribe to subject can take events,
// and if not, why. A distributor that has registered loses what it is given
// before its first ping is answered (contract §8-2).
func (r *Registry) Ready(subject string) (ok bool, why string) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.planes {
		if !h.rec.Deleted.IsZero() || h.rec.How != NATS || len(h.rec.Unready) == 0 && now.Sub(h.pinged) >= settleTime {
			continue
		}
		if !h.rec.wants(subject) {
			continue
		}
		if now.Sub(h.pinged) < settleTime {
			return false, "plane " + h.rec.Asked.Name + " has just begun"
		}
		for addr, since := range h.rec.Unready {
			if now.Sub(since) < unreadyFor {
				return false, fmt.Sprintf("plane %s at %s has registered and not pinged yet", h.rec.Asked.Name, addr)
			}
		}
	}
	return true, ""
}

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

// Polled reports whether a plane that polls subscribes to subject.
func (r *Registry) Polled(subject string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.planes {
		if h.rec.Deleted.IsZero() && (h.rec.How == HTTP || h.rec.Via == HTTP) && h.rec.wants(subject) {
			return true
		}
	}
	return false
}
