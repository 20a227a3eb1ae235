package task

import "time"

// How often time is looked at: tick while a task is followed, else idleTick, as
// each time wakes a process that has nothing to do.
const (
	tick     = 100 * time.Millisecond
	idleTick = 500 * time.Millisecond
)

// pace is when to look at the time again.
func (ts *Tasks) pace() time.Duration {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if len(ts.watched)+len(ts.unsure)+len(ts.thinned) > 0 {
		return tick
	}
	return idleTick
}

// watch has a task looked at at a time. The caller holds mu.
func (ts *Tasks) watch(id string, at time.Time) {
	ts.watched[id] = at
	select {
	case ts.stirred <- struct{}{}:
	default: // Run will see it
	}
}
