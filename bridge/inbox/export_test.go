package inbox

import (
	"context"
	"time"
)

// Observed returns of how many subjects it is known who subscribes.
func (in *Inbox) Observed(ctx context.Context) (n int, err error) {
	done := make(chan struct{})
	err = in.ask(ctx, func() { defer close(done); n = len(in.subscribed) }, done)
	return n, err
}

// RecallAfter opens the streams, calls between, and reads for the first time how
// far delivery has come.
func (in *Inbox) RecallAfter(ctx context.Context, between func()) (floor uint64, err error) {
	in.reset()
	if err := in.open(ctx); err != nil {
		return 0, err
	}
	between()
	in.loaded = false
	err = in.recall(ctx)
	return seqOf(in.progress.Floor), err
}

// AsksAnyReplica reports whether an event may be read from a replica of RW_IN
// that does not lead it.
func AsksAnyReplica(replicas int) bool { return inStream("a", replicas).AllowDirect }

// Forget removes what is older than the window at a time.
func (in *Inbox) Forget(ctx context.Context, now time.Time) error {
	done := make(chan struct{})
	return in.ask(ctx, func() { defer close(done); in.forget(ctx, now) }, done)
}

// PlaceOf returns where event i of the n of message seq is.
func PlaceOf(seq uint64, i, n int) uint64 { return placeOf(seq, i, n) }

// EndOf returns what is behind every event up to message seq.
func EndOf(seq uint64) uint64 { return endOf(seq) }
