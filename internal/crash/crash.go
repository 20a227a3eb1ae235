package crash

import "sync/atomic"

// The points, in the order in which an event passes them.
const (
	// OutboxRead is after an event was read from RW_OUT, before it is routed.
	OutboxRead = "outbox.read"
	// OutboxHeld is after an event for an absent target was stored in RW_HOLD,
	// before RW_OUT lets go of it.
	OutboxHeld = "outbox.held"
	// OutboxSent is after an event was published to its target.
	OutboxSent = "outbox.sent"
	// InboxArrived is after the target has stored an event in RW_IN, before
	// anything is made of it.
	InboxArrived = "inbox.arrived"
	// OutboxAnswered is after the target's answer came, before anything is made
	// of it: to the sender it is as if it were lost.
	OutboxAnswered = "outbox.answered"
	// OutboxStored is after the answer of the last target was taken in, before
	// RW_OUT or RW_HOLD lets go of the event.
	OutboxStored = "outbox.stored"
	// OutboxSettled is after that.
	OutboxSettled = "outbox.settled"
	// InboxDelivered is after an event was published to the stamp's clients,
	// before the server has confirmed it.
	InboxDelivered = "inbox.delivered"
	// InboxFlushed is after that, before the progress is written.
	InboxFlushed = "inbox.flushed"
	// InboxSaved is after that.
	InboxSaved = "inbox.saved"
)

// armed is what a test has put at the points; nil is nothing.
var armed atomic.Pointer[func(point string)]

// At passes a point. It is safe for concurrent use.
func At(point string) {
	if f := armed.Load(); f != nil {
		(*f)(point)
	}
}

// Arm has f called, by whoever passes, at every point from now on. It is for
// the executable of a test.
func Arm(f func(point string)) { armed.Store(&f) }
