package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/bridge/takeover"
	"github.com/ringway/ringway/topology"
)

// makeTakeover makes what follows the stream of an external NATS; nil where
// Ringway is the stamp's NATS itself.
func (g *Gateway) makeTakeover(in *arrivals, c *conns, p *parts, replicas int, reg prometheus.Registerer) (outbox.Order, error) {
	if c.external == nil {
		return nil, nil //nolint:nilnil // RW_OUT has the order
	}
	var err error
	p.taken, err = takeover.New(takeover.Config{
		External: c.external.nc, Relay: c.relay,
		Delivered: func(ctx context.Context, key bridge.Key) (bool, error) {
			from, err := in.sender(ctx, key)
			return from != "", err
		},
		ReadAll:  func(ctx context.Context) bool { return p.outbox.ReadAll(ctx) },
		Replicas: replicas, Log: g.log.With("component", "takeover"), Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	return p.taken, nil
}

// arrivals knows what other stamps have sent to this one. It is safe for
// concurrent use.
type arrivals struct {
	me topology.StampID
	js jetstream.JetStream // of FED
	// packedBy knows who sent what came with others in one message.
	packedBy func(context.Context, bridge.Key) (topology.StampID, error)

	mu     sync.Mutex // guards the following field
	stream jetstream.Stream
}

func newArrivals(me topology.StampID, fed *nats.Conn, packedBy func(context.Context, bridge.Key) (topology.StampID, error)) (*arrivals, error) {
	js, err := jetstream.New(fed)
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &arrivals{me: me, js: js, packedBy: packedBy}, nil
}

// open returns RW_IN.
func (a *arrivals) open(ctx context.Context) (jetstream.Stream, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stream == nil {
		s, err := a.js.Stream(ctx, inbox.StreamIn)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", inbox.StreamIn, err)
		}
		a.stream = s
	}
	return a.stream, nil
}

// sender returns which stamp sent an event to this one; empty if none.
func (a *arrivals) sender(ctx context.Context, key bridge.Key) (topology.StampID, error) {
	in, err := a.open(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range bridge.EventFrom(a.me, key) {
		m, err := in.GetLastMsgForSubject(ctx, s)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read stream %s: %w", inbox.StreamIn, err)
		}
		if _, from, _, ok := bridge.Address(m.Subject); ok {
			return from, nil
		}
	}
	return a.packedBy(ctx, key)
}

// givenBy returns which stamp gave a task to this one; empty if that is not
// known.
func (g *Gateway) givenBy(in *arrivals, task bridge.Key) topology.StampID {
	ctx, cancel := context.WithTimeout(context.Background(), senderLimit)
	defer cancel()
	from, err := in.sender(ctx, task)
	if err != nil {
		g.log.Warn("origin of a task not found", "task", task, "err", err)
	}
	return from
}

// senderLimit is how long an answer that does not say whom it is for waits until it
// is known who gave the task: the inbox may be starting.
const senderLimit = 3 * time.Second

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
