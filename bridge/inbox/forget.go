package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
)

// forget removes settled events that are older than the window.
func (in *Inbox) forget(ctx context.Context, now time.Time) {
	end, err := in.firstSince(ctx, now.Add(-in.cfg.Window))
	if err != nil {
		in.cfg.Log.Warn("old events not removed, will try again", "stream", StreamIn, "err", err)
		return
	}
	end = min(end, in.progress.unread())
	if end <= 1 {
		return
	}
	if err := in.stream.Purge(ctx, jetstream.WithPurgeSequence(end)); err != nil {
		in.cfg.Log.Warn("old events not removed, will try again", "stream", StreamIn, "err", err)
		return
	}
	in.known.Load().forget(end)
}

// firstSince returns the sequence of the first message stored at or after t, by
// bisection: sequences are in order of time.
func (in *Inbox) firstSince(ctx context.Context, t time.Time) (uint64, error) {
	info, err := in.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", StreamIn, err)
	}
	lo, hi := info.State.FirstSeq, info.State.LastSeq+1
	if info.State.Msgs == 0 || !info.State.FirstTime.Before(t) {
		return lo, nil
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		m, err := in.stream.GetMsg(ctx, mid, jetstream.WithGetMsgSubject(bridge.EventsFor(in.cfg.Me)))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			hi = mid
		case err != nil:
			return 0, fmt.Errorf("read %s: %w", StreamIn, err)
		case m.Time.Before(t):
			lo = m.Sequence + 1
		default:
			hi = mid
		}
	}
	return lo, nil
}
