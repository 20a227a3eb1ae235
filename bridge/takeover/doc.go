// Package takeover reads the stream of the NATS that a stamp had before, and
// takes over what our own server did not capture.
//
// Where a stamp keeps its own NATS, its clients publish there, and a leafnode
// brings it to the local server, which captures it. While this gateway or that
// leafnode is down nothing comes, but Keptn's control plane keeps everything in
// a stream, keptn. A Takeover follows that stream, as one of the external
// server's clients, and compares: what is in RW_OUT as well was captured; what
// was delivered by us is not looked at; what else is there for a moment is
// missing, and is put into RW_OUT, where it goes the way of every captured event.
// How far the stream was compared is kept in RW_TAKE.
//
// What clients publish as soon as the leafnode is back is captured before what
// is missing is found. So a Takeover is also the Order of the outbox: it lets go
// on what it has met in the stream, in the order of the stream. It does not hold
// up for long what it does not meet there, and nothing at all where there is no
// such stream or it may not be read.
//
// After a crash the last moment is compared once more, when some of it may have
// left RW_OUT already. That is put there again; its targets refuse it (I2).
//
// RW_TAKE lies in account RELAY. To lose it is to begin with what is published
// from then on; to roll it back repeats events, which their targets refuse for 24
// hours, and what is older than that is not taken over.
package takeover
