package jstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// eachTries is how many readers in a row may bring nothing.
	eachTries = 4
	// eachBatch is how many messages are asked for at once.
	eachBatch = 1000
	// silence is what a fetch that nobody answers takes at least; nats.go does
	// not tell it from one that is told that there is nothing.
	silence = 900 * time.Millisecond
)

// errSilent reports a reader that has more and does not deliver it.
var errSilent = errors.New("a consumer does not deliver")

// errMissing reports a delivery that was lost on its way.
var errMissing = errors.New("a delivery is missing")

// Each calls f with what s has now, on subjects if there are any, from sequence
// from on and in order, until f returns false. It returns nil only if it has
// read everything or f had enough. Where it is read from dies, it is read on
// from elsewhere; when that brings nothing, some times in a row and some
// seconds later, Each fails.
//
// The ordered consumer of nats.go would not do: it begins anew without end and
// without a context, always with one and the same place of which it has heard
// nothing, and takes silence for the end of the stream.
func Each(ctx context.Context, s jetstream.Stream, from uint64, subjects []string, f func(jetstream.Msg, *jetstream.MsgMetadata) bool) error {
	for failed := 0; ; {
		e := each{next: from, f: f}
		err := e.read(ctx, s, subjects)
		if err == nil {
			return nil
		}
		if failed++; e.next > from {
			failed = 0
		}
		if from = e.next; ctx.Err() != nil || failed == eachTries || errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
}

// An each is what one reader brings.
type each struct {
	f    func(jetstream.Msg, *jetstream.MsgMetadata) bool
	next uint64 // sequence to go on with
	n    uint64 // deliveries
	over bool   // f has enough
}

func (e *each) read(ctx context.Context, s jetstream.Stream, subjects []string) error {
	c, err := Reader(ctx, s, e.next, subjects...)
	if err != nil {
		return err
	}
	for !e.over {
		before, began := e.n, time.Now()
		if err := e.batch(c); err != nil {
			return err
		}
		if e.n > before {
			continue // how much is left, it says, is a guess
		}
		// That was the end, or nobody answers.
		asking, cancel := context.WithTimeout(ctx, readerTime)
		info, err := c.Info(asking)
		cancel()
		switch {
		case err != nil:
			return err //nolint:wrapcheck // the caller says which stream
		case info.NumPending > 0 && time.Since(began) > silence:
			return errSilent
		}
		return nil
	}
	return nil
}

// batch takes one batch, which is all that is there if it is not full.
func (e *each) batch(c jetstream.Consumer) error {
	got, err := c.FetchNoWait(eachBatch)
	if err != nil {
		return err //nolint:wrapcheck // the caller says which stream
	}
	for m := range got.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read metadata: %w", err)
		}
		if e.n++; meta.Sequence.Consumer != e.n {
			return fmt.Errorf("%w: number %d of the stream is delivery %d and not %d", errMissing, meta.Sequence.Stream, meta.Sequence.Consumer, e.n)
		}
		e.next = meta.Sequence.Stream + 1
		if !e.f(m, meta) {
			e.over = true
			return nil
		}
	}
	return got.Error() //nolint:wrapcheck // the same
}
