package gateway

import "time"

func (e *exam) events() {
	const taken, letters, held = "somebody takes every event", "no event was set aside", "no operator holds events"
	if h := e.s.Hold; h != nil {
		e.warn(catEvents, held, CodeHeld, "%s", h.causes()[0])
	}
	n := len(e.found)
	for _, w := range e.s.Waiting {
		if h := e.s.Hold; h != nil && w.Reason == h.Why() {
			continue
		}
		e.warn(catEvents, taken, CodeWaiting, "%d of %s wait, the oldest for %s: %s", w.Count, w.Subject,
			e.now.Sub(w.Oldest).Round(time.Second), w.Reason)
	}
	e.note(n, catEvents, taken)
	if n := e.s.DeadLetters; n != nil && *n > 0 {
		e.warn(catEvents, letters, CodeLetters, "%d dead letters: ringway events dlq list --admin %s", *n, e.g.AdminURL())
	} else if n != nil {
		e.ok(catEvents, letters)
	}
}
