package outbox

import (
	"context"
	"strings"
	"sync"
	"time"
)

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
	triggered = strings.Clone(triggered) // else all of its event would stay
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

// NoAnswer waits until everything is read that is captured by now, and reports
// whether it is sure that no plane of this stamp has answered the task with this
// id. It is not when ctx ends before.
func (o *Outbox) NoAnswer(ctx context.Context, triggered string) bool {
	return o.ReadAll(ctx) && o.Unanswered(triggered)
}

// ReadAll waits until everything is read that is captured by now. It returns
// false when ctx ends before.
func (o *Outbox) ReadAll(ctx context.Context) bool {
	s, err := o.js.Stream(ctx, StreamOut)
	if err != nil {
		return false
	}
	tick := time.NewTicker(readTick)
	defer tick.Stop()
	for last := s.CachedInfo().State.LastSeq; o.readTo.Load() < last; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// readTick is how often ReadAll looks how far the outbox has read.
const readTick = 5 * time.Millisecond

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
