package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/topology"
)

// An Expiry is one token or certificate of the stamp that expires one day.
type Expiry struct {
	File string    `json:"file"`
	Kind string    `json:"kind"` // user, CA or certificate
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// expiries lists what in an identity folder expires, soonest first.
func expiries(f *auth.Folder) ([]Expiry, error) {
	items, err := auth.Expirations(f)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	out := make([]Expiry, 0, len(items))
	for _, i := range items {
		out = append(out, Expiry{File: i.File, Kind: i.Kind, Name: i.Name, At: i.Expires})
	}
	return out, nil
}

// Bounds of what one stamp tells another.
const (
	maxTold   = 200
	lookLimit = 500 * time.Millisecond // for what has to be asked of streams
)

// fullStatus is Status with what takes a question to a stream.
func (g *Gateway) fullStatus(ctx context.Context) Status {
	s := g.Status()
	if box := g.letters.Load(); box != nil {
		ctx, cancel := context.WithTimeout(ctx, lookLimit)
		defer cancel()
		if n, err := box.Count(ctx); err == nil {
			s.DeadLetters = &n
		}
	}
	return s
}

// tellStatus is what another stamp is told: no ids of tasks, and not more than
// a message holds.
func (g *Gateway) tellStatus(ctx context.Context) (any, error) {
	s := g.fullStatus(ctx)
	s.Tasks = s.Tasks[:0]
	s.Waiting = s.Waiting[:min(len(s.Waiting), maxTold)]
	return s, nil
}

// makeCtl makes what answers the questions of other gateways. Of several
// replicas the active one answers.
func (g *Gateway) makeCtl(c *conns) (*ctl.Server, error) {
	me := g.force.Load().view.Me
	return ctl.NewServer(ctl.ServerConfig{
		Me: me.ID, Fed: c.fed, Version: Version(), May: g.mayAsk, Log: g.log.With("component", "control"),
		About: map[string]string{"stamp": string(me.ID), "geo": string(me.Geo), "ring": string(me.Ring), "version": Version()},
		Answers: map[string]func(context.Context) (any, error){
			bridge.ShowStatus:      g.tellStatus,
			bridge.ShowChecks:      func(ctx context.Context) (any, error) { return g.Examine(ctx, false), nil },
			bridge.ShowFederation:  func(ctx context.Context) (any, error) { return g.Federation(ctx), nil },
			bridge.ShowExamination: func(ctx context.Context) (any, error) { return g.Examine(ctx, true), nil },
			bridge.ShowPlanes:      g.planeList,
		},
		Queries: map[string]func(context.Context, topology.StampID, []byte) (any, error){
			bridge.ShowSteps: g.tellSteps, bridge.ShowNews: g.tellNews,
			bridge.ShowStory: g.tellStory, bridge.ShowTail: g.tellTail, bridge.ShowLetters: g.tellLetters,
			bridge.OrderTake: g.takeOrder, bridge.OrderPass: g.passOrder,
		},
	})
}

// mayAsk says who is told how this stamp is: hubs, which see everything that
// crosses, stamps of control planes, and those with which it exchanges events;
// and who watches this stamp. What others say is for the latter alone: a stamp
// asks them itself.
func (g *Gateway) mayAsk(from topology.StampID, what string) error {
	if strings.HasPrefix(string(from), auth.WatcherMark) {
		return nil // the rights of its user do not let it ask over a link
	}
	v := g.force.Load().view
	switch what {
	case bridge.ShowFederation, bridge.ShowExamination, bridge.ShowStory, bridge.ShowTail, bridge.ShowPlanes, bridge.ShowLetters:
		return fmt.Errorf("%s is for who watches %s alone", what, v.Me.ID)
	case bridge.OrderPass:
		return errNotOperator
	case bridge.OrderTake:
		return nil // it counts by its signature
	}
	s := v.Stamp(from)
	if s == nil {
		return fmt.Errorf("stamp %s is not in the topology of %s", from, v.Me.ID)
	}
	if from == v.Me.ID || s.Control || s.Link.Kind == topology.LinkHub {
		return nil
	}
	for _, p := range v.Peers() {
		if p == from {
			return nil
		}
	}
	return fmt.Errorf("%s is neither a hub nor the stamp of a control plane, and exchanges no events with %s", from, v.Me.ID)
}

// openAsker starts to hear what other stamps answer. Every replica does.
func (g *Gateway) openAsker(c *conns) *ctl.Asker {
	a := ctl.NewAsker(g.opts.Stamp, c.fed)
	g.ctl.Store(a)
	return a
}
