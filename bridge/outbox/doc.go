// Package outbox captures what the clients of a stamp publish and forwards it
// to the stamps it is meant for.
//
// The server itself stores each published event in the stream RW_OUT, before
// any code of this package sees it. The outbox reads that stream in order,
// routes each event, and hands it to one lane per target stamp. A lane keeps
// many events in flight, those that are there at once in one message; but of one
// shkeptncontext only one message, which is what keeps their order whatever is
// lost or retried on the way. An event leaves RW_OUT only when every target has
// stored it (invariant I1).
//
// A target that does not answer must not hold up the others, nor fill the
// window of RW_OUT: its lane stores what it has, and what still comes, in the
// stream RW_HOLD, and drains that in order once the target answers again. So
// an event is stored once here on the fast path and twice while its target is
// away.
//
// What is settled is removed from RW_OUT in passing, many events at a time: an
// acknowledgement for each would cost an eighth of all the work. After a crash
// everything that is still there is read again and sent again with the same
// key; the target's stream refuses the second copy.
package outbox
