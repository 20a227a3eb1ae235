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
	seq   uint64
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
		m, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return stream.GetLastMsgForSubject(ctx, bridge.EventFrom(in.cfg.Me, k)[0])
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", StreamIn, err)
		}
		a := read(m.Subject, m.Header, m.Data, m.Sequence)
		kept := Kept{About: a.about(), From: a.from, At: m.Time, seq: m.Sequence}
		if e, err := bridge.Parse(a.subject, m.Data); err == nil {
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
