package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

// calls returns who answers calls to Keptn here, in the order in which they are
// asked. What none of them takes goes to the control plane. It is asked for each
// call: parts come and go with the terms of a replica.
func (g *Gateway) calls() []call.Handler {
	if h := g.handlers.Load(); h != nil {
		return *h
	}
	return nil
}

// setCalls replaces who answers calls to Keptn here.
func (g *Gateway) setCalls(handlers ...call.Handler) { g.handlers.Store(&handlers) }

// openFace binds the HTTP face, if there is to be one.
func (g *Gateway) openFace() error {
	if !g.opts.servesREST() {
		return nil
	}
	r := g.opts.Rest
	g.setCalls(g.planeHandler(), g.pollHandler())
	proxies, err := r.proxies()
	if err != nil {
		return fmt.Errorf("rest.trustedProxies: %w", err)
	}
	g.face, err = face.New(face.Config{
		Me: g.opts.Stamp, Listen: g.opts.Listen.REST, Names: r.Names, Cert: r.Cert, Key: r.Key, NamesTLS: r.NamesTLS,
		Tokens: r.Tokens, Review: r.review(), Anonymous: r.Anonymous, Tunnel: r.Tunnel,
		Sources: func() []netip.Prefix { return g.force.Load().view.Me.Clients.Sources },
		Proxies: proxies, MaxRequest: r.MaxRequest, Idle: r.IdleTimeout, ClusterDomain: r.ClusterDomain,
		Calls: g.calls, Control: g.askControl, Targets: g.askTarget,
		Log: g.log.With("component", "rest"), Metrics: g.reg,
	})
	return err
}

// heard reports whether canaries get through to a stamp: then what it does not
// answer is not for want of a route. A replica that stands by sends none, and
// asks now.
func (g *Gateway) heard(nc *nats.Conn, id topology.StampID) bool {
	if id == g.opts.Stamp {
		return true
	}
	if !nc.IsConnected() {
		return false // the link server restarts
	}
	for _, l := range g.node.Links() {
		if l.Peer == id && !l.Up {
			return false
		}
	}
	p := g.bridge.Load()
	if p == nil {
		return g.ways.heard(nc, g.opts.Stamp, id)
	}
	now := time.Now()
	for _, peer := range p.asker.Peers() {
		if peer.Stamp == id {
			return !peer.Last.IsZero() && peer.Err == "" && peer.Age(now) <= staleAfter*g.opts.Events.CanaryInterval
		}
	}
	return false
}

// askTarget answers a request below /t/.
func (g *Gateway) askTarget(w http.ResponseWriter, r *http.Request, stamp topology.StampID, target, rest string, strip []string) {
	client := g.tunnelTo(stamp)
	v := g.force.Load().view
	switch {
	case client == nil:
		face.Answer(w, http.StatusServiceUnavailable, tunnel.ReasonStopping, "gateway of "+string(g.opts.Stamp)+": it has not begun")
		return
	case v.Stamp(stamp) == nil:
		face.Answer(w, http.StatusNotFound, tunnel.ReasonNoTarget, fmt.Sprintf("gateway of %s: the topology has no stamp %q", g.opts.Stamp, stamp))
		return
	}
	route := tunnel.Route{To: stamp, Target: target, Strip: strip, Rewrite: func(string) string { return rest }}
	if t := v.Target(stamp, target); t != nil {
		route.MaxRequest, route.Timeout = t.MaxRequest, t.Timeout
	} else if c := impliedBy(v, stamp, target); c != nil {
		route.MaxRequest, route.Timeout, route.Repeat = g.opts.Rest.MaxRequest, tunnel.KeptnTimeout, safe
	}
	client.Handler(route).ServeHTTP(w, r)
}

// RESTURL returns where the clients of the stamp find HTTP; empty if nowhere.
func (g *Gateway) RESTURL() string {
	if g.face == nil {
		return ""
	}
	return g.face.URL()
}
