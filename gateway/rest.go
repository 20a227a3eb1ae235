package gateway

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// A replica that is told to stop closes its clients, sees that what they sent is
// stored, and goes. When all are told at once, the streams would have no quorum
// once the first ones have gone, and what the last one heard would be lost; so
// one that is done stays until those that stop as well are done too.

// restQuestion is the subject, in account RELAY, on which a replica that stops
// asks the others whether they still need it. The server that is asked follows.
const restQuestion = "lead.rest."

const (
	// restWait is how long a replica that has nothing left waits for others.
	restWait = 5 * time.Second
	// restLook is how often it asks, and how long for an answer.
	restLook = 50 * time.Millisecond
	// restFirst is for others that are told to stop a moment later.
	restFirst = 300 * time.Millisecond
)

// The answers to a restQuestion.
const (
	running  = "running"
	stopping = "stopping"
	resting  = "resting"
)

// rest is how far a replica is with its stop.
type rest struct{ state atomic.Value }

func (r *rest) is() string {
	if s, ok := r.state.Load().(string); ok {
		return s
	}
	return running
}

// dismissClients closes the clients of this replica when it stops, before what
// hears them ends.
func (g *Gateway) dismissClients(ctx context.Context, ready func(), c *conns) error {
	ready()
	<-ctx.Done()
	if err := g.node.Dismiss(); err != nil {
		g.log.Warn("clients not closed, what they publish now may be lost", "err", err)
	}
	if err := c.relay.FlushTimeout(time.Second); err != nil {
		return fmt.Errorf("flush bridge connection: %w", err)
	}
	return nil
}

// awaitRest answers the others, and when this replica has nothing left waits for
// those that stop at the same time.
func (g *Gateway) awaitRest(ctx context.Context, ready func(), relay *nats.Conn) error {
	sub, err := relay.Subscribe(restQuestion+g.node.Replicas().Server, func(m *nats.Msg) {
		if err := m.Respond([]byte(g.rest.is())); err != nil {
			g.log.Debug("replica not answered, it will ask again", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe questions of replicas: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	ready()
	<-ctx.Done()
	g.rest.state.Store(resting)
	limit := time.NewTimer(restWait)
	defer limit.Stop()
	look := time.NewTicker(restLook)
	defer look.Stop()
	for began := time.Now(); ; {
		if !g.anotherStops(relay) && time.Since(began) > restFirst {
			return nil
		}
		select {
		case <-look.C:
		case <-limit.C:
			return nil
		}
	}
}

// anotherStops reports whether a replica stops and is not done.
func (g *Gateway) anotherStops(relay *nats.Conn) bool {
	for _, p := range g.node.Replicas().Peers {
		m, err := relay.Request(restQuestion+p, nil, restLook)
		if err == nil && string(m.Data) == stopping {
			return true
		}
	}
	return false
}
