package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What is settled is removed from RW_OUT when nothing more was settled for
// trimEvery, and else when it is trimEvents, or after trimLatest. Removing it
// holds up what is stored in that moment, so it is not for every time. What was
// settled since is sent again after a crash, and refused by its targets.
const (
	trimEvery  = 250 * time.Millisecond
	trimEvents = 4096
	trimLatest = time.Second
	trimIdle   = time.Second // is how often it is looked whether anything was settled, while nothing is
)

// An event that is not settled, as one that cannot be set aside, holds up the
// removal of those after it by stuckAfter. Then they are removed one by one, at
// most maxSingly of them at a time.
const (
	stuckAfter = 5 * time.Second
	maxSingly  = 2048
)

// A trimmer removes from RW_OUT what is settled.
type trimmer struct {
	ledger  *ledger
	stream  jetstream.Stream
	log     *slog.Logger
	floor   uint64    // up to here everything was settled when last looked at
	removed uint64    // everything before it is removed
	all     bool      // and itself
	since   time.Time // when removed changed
	singly  uint64    // what was settled up to here is removed, too
}

// run trims until ctx ends, and once more.
func (t *trimmer) run(ctx context.Context) {
	pace := trimEvery
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), resetTime)
			defer cancel()
			if floor, _ := t.ledger.settled(); floor > t.removed || !t.all {
				// What is left is sent again by the next run, and refused.
				_ = t.stream.Purge(last, jetstream.WithPurgeSequence(floor+1))
			}
			return
		case now := <-tick.C:
			err := t.trim(ctx, now)
			if err == nil && now.Sub(t.since) > stuckAfter {
				err = t.trimSingly(ctx)
			}
			if err != nil && ctx.Err() == nil {
				t.log.Debug("events that are settled not removed, will try again", "err", err)
			}
			if every := t.pace(); every != pace {
				pace = every
				tick.Reset(pace)
			}
		}
	}
}

// pace is when to look again.
func (t *trimmer) pace() time.Duration {
	if t.all && t.floor == t.removed {
		return trimIdle
	}
	return trimEvery
}

// trim removes everything before the last event that is settled, and that one
// when nothing comes any more: the server empties a stream by making its files
// anew.
func (t *trimmer) trim(ctx context.Context, now time.Time) error {
	floor, idle := t.ledger.settled()
	quiet := floor == t.floor
	t.floor = floor
	switch {
	case quiet && idle:
		if t.all && floor == t.removed {
			return nil
		}
		if err := t.stream.Purge(ctx, jetstream.WithPurgeSequence(floor+1)); err != nil {
			return err
		}
		t.removed, t.all, t.since = floor, true, now
	case floor > t.removed && (quiet || floor-t.removed >= trimEvents || now.Sub(t.since) >= trimLatest):
		if err := t.stream.Purge(ctx, jetstream.WithPurgeSequence(floor)); err != nil {
			return err
		}
		t.removed, t.all, t.since = floor, false, now
	}
	return nil
}

// trimSingly removes what is settled behind an event that is not.
func (t *trimmer) trimSingly(ctx context.Context) error {
	for _, seq := range t.ledger.beyond(t.singly, maxSingly) {
		err := t.stream.DeleteMsg(ctx, seq)
		if err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return err
		}
		t.singly = seq
	}
	return nil
}
