package plane

import (
	"context"
	"slices"
	"time"
)

// Seen notes that a caller polls for a type of events.
func (r *Registry) Seen(caller, event string) {
	now := time.Now()
	r.mu.Lock()
	types := r.polled[caller]
	if types == nil {
		types = map[string]time.Time{}
		r.polled[caller] = types
	}
	if types[event].IsZero() {
		r.polls.Store(nil)
	}
	told := now.Sub(types[event]) < r.cfg.Lease/8
	if !told {
		types[event] = now
	}
	r.mu.Unlock()
	if !told && r.cfg.Replicas > 1 {
		r.say(seenSubject, sighting{From: r.name, Caller: caller, Event: event})
	}
}

// pollers returns the callers that poll for what no registered plane of theirs
// subscribes to.
func (r *Registry) pollers(ctx context.Context, now time.Time) []stranger {
	r.mu.Lock()
	byCaller := map[string][]string{}
	for caller, types := range r.polled {
		for event, at := range types {
			if now.Sub(at) > r.cfg.Lease {
				delete(types, event)
				continue
			}
			byCaller[caller] = append(byCaller[caller], event)
		}
	}
	r.mu.Unlock()
	records := r.records()
	var out []stranger
	for caller, events := range byCaller {
		registered := false
		for rec := range records {
			if rec.How == OnBehalf || rec.Caller != caller || !rec.covers(events) && caller == "" {
				continue
			}
			registered = true
			if rec.How == NATS && rec.covers(events) && !r.subscribes(rec.ID) {
				r.convert(ctx, rec.ID)
			}
		}
		if registered {
			continue
		}
		name := caller
		if name == "" {
			name = "http-planes"
		}
		slices.Sort(events)
		out = append(out, stranger{name: name, caller: caller, via: HTTP, events: events})
	}
	return out
}

// subscribes reports whether a plane that registered has a connection to NATS.
func (r *Registry) subscribes(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.met[id]
}

// convert notes that a plane polls, although it registered as those do that
// subscribe.
func (r *Registry) convert(ctx context.Context, id string) {
	defer r.lock(id)()
	r.change(ctx, id, func(rec *Record) *Record {
		if rec == nil || rec.How != NATS {
			return nil
		}
		rec.How = HTTP
		return rec
	})
	r.nudge()
}
