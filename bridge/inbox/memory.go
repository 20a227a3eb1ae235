package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// A memory knows the keys that are in RW_IN and who sent each first. The
// stream refuses a second copy from the same stamp; the memory tells one that
// comes from another stamp.
type memory struct {
	keys map[bridge.Key]knownKey
}

type knownKey struct {
	from topology.StampID
	seq  uint64
}

// remember reads the keys of a stream. It returns when all are read: some
// hundred thousand take about a second.
func remember(ctx context.Context, s jetstream.Stream, me topology.StampID) (*memory, error) {
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(bridge.EventsFor(me)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", StreamIn, err)
	}
	m := &memory{keys: make(map[bridge.Key]knownKey, len(info.State.Subjects))}
	for subject := range info.State.Subjects {
		_, from, rest, _ := bridge.Address(subject)
		key, _, _ := strings.Cut(rest, ".")
		m.keys[key] = knownKey{from: from, seq: info.State.LastSeq}
	}
	return m, nil
}

// repeated reports whether another stamp sent the same event before a.
func (m *memory) repeated(ctx context.Context, s jetstream.Stream, me topology.StampID, a arrival) (bool, error) {
	k, known := m.keys[a.key]
	if !known {
		m.keys[a.key] = knownKey{from: a.from, seq: a.seq}
		return false, nil
	}
	if k.from == a.from {
		return false, nil
	}
	first, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(bridge.EventSubject(me, "*", a.key)))
	})
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up event in %s: %w", StreamIn, err)
	}
	return first.Sequence < a.seq, nil
}

func (m *memory) forget(before uint64) {
	for key, k := range m.keys {
		if k.seq < before {
			delete(m.keys, key)
		}
	}
}

// forget removes settled events that are older than the window.
func (in *Inbox) forget(ctx context.Context, now time.Time) {
	end, err := in.firstSince(ctx, now.Add(-in.cfg.Window))
	if err != nil {
		in.cfg.Log.Warn("old events not removed, will try again", "stream", StreamIn, "err", err)
		return
	}
	end = min(end, in.progress.Floor+1)
	if end <= 1 {
		return
	}
	if err := in.stream.Purge(ctx, jetstream.WithPurgeSequence(end)); err != nil {
		in.cfg.Log.Warn("old events not removed, will try again", "stream", StreamIn, "err", err)
		return
	}
	in.known.forget(end)
}

// firstSince returns the sequence of the first event stored at or after t, by
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
