package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/bridge/takeover"
)

// makeTakeover makes what follows the stream of an external NATS; nil where
// Ringway is the stamp's NATS itself.
func (g *Gateway) makeTakeover(c *conns, p *parts, replicas int, reg prometheus.Registerer) (outbox.Order, error) {
	if c.external == nil {
		return nil, nil //nolint:nilnil // RW_OUT has the order
	}
	js, err := jetstream.New(c.fed)
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	p.taken, err = takeover.New(takeover.Config{
		External: c.external.nc, Relay: c.relay,
		Delivered: func(ctx context.Context, key bridge.Key) (bool, error) {
			return delivered(ctx, js, bridge.EventFrom(g.opts.Stamp, key))
		},
		ReadAll:  func(ctx context.Context) bool { return p.outbox.ReadAll(ctx) },
		Replicas: replicas, Log: g.log.With("component", "takeover"), Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	return p.taken, nil
}

// delivered reports whether RW_IN has an event on one of some subjects.
func delivered(ctx context.Context, js jetstream.JetStream, subjects [2]string) (bool, error) {
	in, err := js.Stream(ctx, inbox.StreamIn)
	if err != nil {
		return false, fmt.Errorf("open stream %s: %w", inbox.StreamIn, err)
	}
	for _, s := range subjects {
		_, err := in.GetLastMsgForSubject(ctx, s)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return false, fmt.Errorf("read stream %s: %w", inbox.StreamIn, err)
		}
	}
	return false, nil
}

// takeoverStatus returns nil where there is nothing to take over, and what is
// wrong with it. Only Keptn itself makes the stream, so it is missed in its own
// stamp alone.
func (g *Gateway) takeoverStatus(p *parts) (*takeover.State, []string) {
	if p.taken == nil {
		return nil, nil
	}
	s := p.taken.State()
	if me := g.force.Load().view.Me; s.Following || s.Absent || !me.Control {
		return &s, nil
	}
	return &s, []string{"external NATS: what is published there while it cannot be heard is not taken over: " + s.Err}
}
