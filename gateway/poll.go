package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/poll"
	"github.com/ringway/ringway/internal/run"
	"github.com/ringway/ringway/topology"
)

// makePoll makes what serves planes that poll. Every replica of a stamp serves
// them.
func (g *Gateway) makePoll(c *conns) (*poll.Server, error) {
	return poll.New(poll.Config{
		Me: g.opts.Stamp, Relay: c.relay, Deliver: c.deliver, MaxPayload: c.external.maxPayload, Router: g.Router, Planes: g.pollPlanes(), Control: g.upstream,
		View: func() *topology.View { return g.force.Load().view },
		Active: func() bool {
			l := g.lease.Load()
			return l == nil || l.State().Active
		},
		TTL: g.opts.Poll.TTL, NewsTTL: g.opts.Poll.NewsTTL, Window: g.opts.Poll.Window, Retry: g.opts.Poll.Retry,
		Replicas: g.replicas(), Log: g.log.With("component", "poll"), Metrics: g.reg,
	})
}

// pollPlanes returns what knows which planes poll.
func (g *Gateway) pollPlanes() poll.Planes { return pollPlanes{g} }

// pollPlanes is what the registry knows.
type pollPlanes struct{ g *Gateway }

// Integrations returns those that registered under a caller's identity.
func (p pollPlanes) Integrations(caller string) []poll.Integration {
	r := p.g.planes.Load()
	if r == nil {
		return nil
	}
	var out []poll.Integration
	for _, i := range r.Integrations(caller) {
		is := poll.Integration{ID: i.ID, Name: i.Name}
		for _, s := range i.Subscriptions {
			is.Subscriptions = append(is.Subscriptions, poll.Subscription{
				ID: s.ID, Event: s.Event, Projects: s.Filter.Projects, Stages: s.Filter.Stages, Services: s.Filter.Services,
			})
		}
		out = append(out, is)
	}
	return out
}

// Polled reports whether any plane that polls subscribes to subject.
func (p pollPlanes) Polled(subject string) bool {
	r := p.g.planes.Load()
	return r != nil && r.Polled(subject)
}

// Seen says that a caller polls for what it has not registered for.
func (p pollPlanes) Seen(caller, event string) {
	if r := p.g.planes.Load(); r != nil {
		r.Seen(caller, event)
	}
}

// pollOpenTime is how long what is open is waited for before events move: answers
// that come earlier say nothing of it.
const pollOpenTime = 3 * time.Second

// pollPart runs s as a part that others do not wait for without end. Its store
// being out of order must not take the events of others away.
func (g *Gateway) pollPart(s *poll.Server) run.Component {
	k := &keeper{name: "poll", run: s.Run, board: g.board, log: g.log}
	return run.Func(func(ctx context.Context, ready func()) error {
		up := sync.OnceFunc(ready)
		late := time.AfterFunc(pollOpenTime, up)
		defer late.Stop()
		return k.Run(ctx, up)
	})
}

// sinks returns those that are given the events of the stamp's bus.
func (g *Gateway) sinks() []bridge.Sink {
	var out []bridge.Sink
	if s := g.poll.Load(); s != nil {
		out = append(out, s)
	}
	return out
}

// pollHandler answers the calls of planes that poll, and no others. It can be
// asked for at any time, and takes nothing before the gateway has begun to run.
func (g *Gateway) pollHandler() call.Handler { return pollHandler{g} }

type pollHandler struct{ g *Gateway }

// ServeCall serves c if the stamp serves planes that poll.
func (h pollHandler) ServeCall(w http.ResponseWriter, r *http.Request, c call.Call) bool {
	s := h.g.poll.Load()
	return s != nil && s.ServeCall(w, r, c)
}
