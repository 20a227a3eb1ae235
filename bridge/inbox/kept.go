package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// A Kept is an event that RW_IN still has, and that this stamp is done with: it was
// delivered, set aside or dropped.
type Kept struct {
	About bridge.About
	From  topology.StampID
	At    time.Time // when it came
	seq   place
}

// Kept returns the events with these keys that were settled.
func (in *Inbox) Kept(ctx context.Context, keys []bridge.Key) ([]Kept, error) {
	var stream jetstream.Stream
	got := make(chan struct{})
	if err := in.ask(ctx, func() { stream = in.stream; close(got) }, got); err != nil {
		return nil, err
	}
	var all []Kept
	for _, k := range keys {
		a, at, err := in.stored(ctx, stream, k)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", StreamIn, err)
		}
		kept := Kept{About: a.about(), From: a.from, At: at, seq: a.seq}
		if e, err := bridge.Parse(a.subject, a.body); err == nil {
			kept.About = e.Names(a.subject)
		}
		all = append(all, kept)
	}
	out := make([]Kept, 0, len(all))
	done := make(chan struct{})
	err := in.ask(ctx, func() {
		defer close(done)
		for _, k := range all {
			if in.progress.has(k.seq) {
				out = append(out, k)
			}
		}
	}, done)
	return out, err
}

// stored returns the event with a key, and when it came.
func (in *Inbox) stored(ctx context.Context, stream jetstream.Stream, key bridge.Key) (arrival, time.Time, error) {
	known, err := in.memory(ctx)
	if err != nil {
		return arrival{}, time.Time{}, err
	}
	_, at, packed, err := known.packed(ctx, key)
	if err != nil {
		return arrival{}, time.Time{}, err
	}
	m, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		if packed {
			return stream.GetMsg(ctx, seqOf(at))
		}
		return stream.GetLastMsgForSubject(ctx, bridge.EventFrom(in.cfg.Me, key)[0])
	})
	if err != nil {
		return arrival{}, time.Time{}, err //nolint:wrapcheck // the caller says which stream
	}
	all := readMessage(m.Subject, m.Header, m.Data, m.Sequence)
	return all[min(indexOf(at), len(all)-1)], m.Time, nil
}

// PackedBy returns which stamp sent the event with a key, if it came with others
// in one message; else it is found by its subject. It is empty if no such event
// came. Only a run knows what there is: while there is none PackedBy waits for the
// next, and fails when ctx ends before.
func (in *Inbox) PackedBy(ctx context.Context, key bridge.Key) (topology.StampID, error) {
	known, err := in.memory(ctx)
	if err != nil {
		return "", err
	}
	from, _, _, err := known.packed(ctx, key)
	return from, err
}

// memory returns that of the run, and waits until it is read.
func (in *Inbox) memory(ctx context.Context) (*memory, error) {
	if m := in.known.Load(); m != nil {
		return m, nil
	}
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("what %s has is not known yet: %w", StreamIn, ctx.Err())
		case <-tick.C:
			if m := in.known.Load(); m != nil {
				return m, nil
			}
		}
	}
}

// memoryTick is how often memory looks whether it is read.
const memoryTick = 5 * time.Millisecond
