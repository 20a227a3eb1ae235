package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/internal/run"
	"github.com/ringway/ringway/topology"
)

// A pair is both ends of the tunnel on one connection.
type pair struct {
	name   string // in parts of the process
	client *tunnel.Client
	server *tunnel.Server
}

// tunnels are the ways of HTTP. What crosses is connected to the links; what stays
// in the stamp needs no link, and in a hub has a connection to the local server, so
// that the link server may be away.
type tunnels struct {
	me  topology.StampID
	far pair
	own *pair // nil: far serves the stamp itself, too
}

// to returns who asks a stamp.
func (t *tunnels) to(id topology.StampID) *tunnel.Client {
	if id == t.me && t.own != nil {
		return t.own.client
	}
	return t.far.client
}

// tunnelTo returns who asks a stamp, or nil before the tunnel has begun.
func (g *Gateway) tunnelTo(id topology.StampID) *tunnel.Client {
	if t := g.tunnel.Load(); t != nil {
		return t.to(id)
	}
	return nil
}

// all returns the pairs.
func (t *tunnels) all() []*pair {
	if t.own == nil {
		return []*pair{&t.far}
	}
	return []*pair{&t.far, t.own}
}

// serve serves other targets.
func (t *tunnels) serve(targets []tunnel.Target) error {
	var errs []error
	for _, p := range t.all() {
		if err := p.server.SetTargets(targets); err != nil && len(errs) == 0 {
			errs = append(errs, err) // the others say the same
		}
	}
	return errors.Join(errs...)
}

// openTunnels connects the tunnel, and returns how to close that.
func (g *Gateway) openTunnels() (*tunnels, func(), error) {
	options := []nats.Option{g.credentials(auth.UserFed), nats.ErrorHandler(g.asyncError), nats.IgnoreAuthErrorAbort(), tunnel.ConnectOption()}
	nc, err := g.node.ConnectLink("ringway-http", options...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect tunnel: %w", err)
	}
	log, me := g.log.With("component", "tunnel"), g.opts.Stamp
	t := &tunnels{me: me, far: pair{name: "tunnel"}}
	t.far.client, err = tunnel.NewClient(tunnel.ClientConfig{
		Me: me, Fed: nc, Log: log, Metrics: g.reg,
		Reachable: func(id topology.StampID) bool { return g.heard(nc, id) },
	})
	if err == nil {
		t.far.server, err = tunnel.NewServer(tunnel.ServerConfig{Me: me, Fed: nc, Log: log, Metrics: g.reg, Grace: g.opts.StopGrace / 10})
	}
	if err != nil || g.force.Load().view.Me.Link.Kind != topology.LinkHub {
		return t, nc.Close, err
	}
	own, err := g.node.Connect("ringway-http-own", options...)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("connect tunnel within the stamp: %w", err)
	}
	t.own = &pair{"own tunnel", t.far.client.Beside(own), t.far.server.Beside(own, me)}
	return t, func() { own.Close(); nc.Close() }, nil
}

// runHTTP serves HTTP to the clients of the stamp and the targets of the stamp
// to others, until ctx ends. It has connections of its own: long bodies do not
// hold up events.
func (g *Gateway) runHTTP(ctx context.Context, ready func()) error {
	t, closeAll, err := g.openTunnels()
	if closeAll != nil {
		defer closeAll()
	}
	if err != nil {
		return err
	}
	g.tunnel.Store(t)
	var s run.Stack
	for _, p := range t.all() {
		s.Push(p.name, &keeper{name: p.name, run: p.client.Run, board: g.board, log: g.log})
	}
	s.Push("targets", run.Func(func(ctx context.Context, ready func()) error { return g.followTargets(ctx, ready, t) }))
	for _, p := range t.all() {
		s.Push(p.name+" server", &keeper{name: p.name + " server", run: p.server.Run, board: g.board, log: g.log})
	}
	if g.face != nil {
		s.Push("rest", g.face)
		defer g.face.Wait() // upgraded connections end with the tunnel
	}
	return s.Run(ctx, ready)
}
