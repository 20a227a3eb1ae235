package health

import (
	"sync"
	"time"
)

// A Lamp is a Reporter that its owner sets. It is safe for concurrent use.
type Lamp struct {
	mu sync.Mutex
	r  Report
}

// NewLamp returns a Lamp that shows state and detail since now.
func NewLamp(state State, detail string, now time.Time) *Lamp {
	return &Lamp{r: Report{State: state, Detail: detail, Since: now}}
}

// Set shows state and detail. Since becomes now only if the state changes.
func (l *Lamp) Set(state State, detail string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state != l.r.State {
		l.r.Since = now
	}
	l.r.State, l.r.Detail = state, detail
}

// Report returns what was set last.
func (l *Lamp) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r
}
