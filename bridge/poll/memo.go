package poll

import (
	"sync"
	"time"
)

// who remembers for a moment what integrations a caller has: it polls far more
// often than they change.
type who struct {
	mu      sync.RWMutex // guards the following field
	byPlane map[string]known
}

type known struct {
	at           time.Time
	integrations []Integration
}

// whoFresh is for how long what is known of a caller is taken for true.
const whoFresh = 100 * time.Millisecond

func (w *who) of(planes Planes, plane string, now time.Time) []Integration {
	w.mu.RLock()
	k, ok := w.byPlane[plane]
	w.mu.RUnlock()
	if ok && now.Sub(k.at) < whoFresh {
		return k.integrations
	}
	k = known{now, planes.Integrations(plane)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byPlane == nil || len(w.byPlane) >= maxCallers {
		w.byPlane = map[string]known{}
	}
	w.byPlane[plane] = k
	return k.integrations
}

// what remembers for a moment whether a subject is polled for: each event asks for
// that some times.
type what struct {
	mu        sync.RWMutex // guards the following field
	bySubject map[string]polled
}

type polled struct {
	at  time.Time
	yes bool
}

// whatFresh is for how long what is known of a subject is taken for true. What
// comes from another stamp and finds nobody is tried again that soon.
const whatFresh = 50 * time.Millisecond

func (w *what) of(planes Planes, subject string, now time.Time) bool {
	w.mu.RLock()
	p, ok := w.bySubject[subject]
	w.mu.RUnlock()
	if ok && now.Sub(p.at) < whatFresh {
		return p.yes
	}
	p = polled{now, planes.Polled(subject)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bySubject == nil || len(w.bySubject) >= maxCallers {
		w.bySubject = map[string]polled{}
	}
	w.bySubject[subject] = p
	return p.yes
}
