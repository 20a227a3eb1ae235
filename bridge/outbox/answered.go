package outbox

import "sync"

// An answeredSet remembers which tasks the planes of this stamp have answered,
// as far back as matters: an answer from before the start that is not in RW_OUT
// any more has reached its control plane. It is safe for concurrent use.
type answeredSet struct {
	mu    sync.Mutex
	set   map[string]struct{}
	order []string // oldest first
	sure  bool     // everything captured before the start was read
}

// maxAnswered bounds the set. Of some hundred thousand tasks that were answered
// since, nobody asks for the first.
const maxAnswered = 1 << 17

func (a *answeredSet) add(triggered string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set == nil {
		a.set = map[string]struct{}{}
	}
	if _, known := a.set[triggered]; known {
		return
	}
	a.set[triggered] = struct{}{}
	a.order = append(a.order, triggered)
	if len(a.order) > maxAnswered {
		delete(a.set, a.order[0])
		a.order = a.order[1:]
	}
}

func (a *answeredSet) caughtUp(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sure = yes
}

// Unanswered reports whether it is sure that no plane of this stamp has
// answered the task with this id.
func (o *Outbox) Unanswered(triggered string) bool {
	return o.answered.lacks(triggered) && !o.holdsFromBefore()
}

// lacks reports whether it is sure that a task is not in the set.
func (a *answeredSet) lacks(triggered string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.set[triggered]
	return a.sure && !known
}

// holdsFromBefore reports whether events are held that may have been captured
// before the start, and were not read since.
func (o *Outbox) holdsFromBefore() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, l := range o.lanes {
		if l.old.Load() {
			return true
		}
	}
	return false
}
