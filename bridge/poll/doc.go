// Package poll serves planes that do not speak NATS: they ask by HTTP for the
// events that are open, and post their answers.
//
// What it serves is a store of its own, stream RW_OPEN: the events that passed on
// the bus of the stamp while a plane polled for them, whether Keptn would serve
// their type or not. Every replica reads the stream into an index in memory and
// answers from that, so a poll asks nobody, and works whatever is out of reach.
// An event is open until the task it gives is done, its sequence is over, or its
// time is; for one plane it is hidden from its .started on.
//
// What a plane posts is stored in RW_OUT, like what a client of the stamp's NATS
// publishes, before it is answered; and once, however often the plane repeats it:
// stream RW_POST remembers what was posted and what was made of it.
package poll
