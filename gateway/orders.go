package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/hold"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/topology"
)

// An OrderReport is what came of an order, stamp by stamp. It is the answer to
// POST /orders.
type OrderReport struct {
	APIVersion string        `json:"apiVersion"` // ringway/v1
	Kind       string        `json:"kind"`       // OrderReport
	Order      bridge.Order  `json:"order"`
	By         string        `json:"by"`
	Via        string        `json:"via"` // the stamp that passed it on
	Answers    []OrderAnswer `json:"answers"`
}

// An OrderAnswer is what one stamp made of an order.
type OrderAnswer struct {
	Stamp topology.StampID `json:"stamp"`
	Done  *bridge.Done     `json:"done,omitempty"` // nil: it did not carry it out, as far as is known
	Err   string           `json:"err,omitempty"`
}

const (
	// orderLimit is how long stamps are waited for that get an order.
	orderLimit = 5 * time.Second
	// heedLimit is how long the part that delivers is waited for.
	heedLimit = 2 * time.Second
	// maxOrder bounds an order with its signature, in bytes.
	maxOrder = 64 << 10
	// maxOrderTo bounds the stamps that it is for.
	maxOrderTo = 1000
	// ordersShown bounds the orders in a Status.
	ordersShown = 20
)

// openHold makes the keeper of what operators want. Every replica has one.
func (g *Gateway) openHold(c *conns) (*hold.Keeper, error) {
	k, err := hold.New(hold.Config{
		Me: g.opts.Stamp, Relay: c.relay, Stream: inbox.StateStream(g.replicas()), Log: g.log.With("component", "orders"), Metrics: g.reg,
		Changed: func(is hold.State) { g.level.set(is.Level) }, Replay: g.replayLetters,
	})
	if err != nil {
		return nil, err
	}
	g.hold.Store(k)
	return k, nil
}

// loadHold is a part that is ready when it is known what operators want: before
// that nothing may be delivered.
func loadHold(k *hold.Keeper) func(context.Context, func()) error {
	return func(ctx context.Context, ready func()) error {
		if err := k.Load(ctx); err != nil {
			return err
		}
		ready()
		<-ctx.Done()
		return nil
	}
}

// holding is inbox.Config.Holding.
func (g *Gateway) holding() bridge.Holding {
	if k := g.hold.Load(); k != nil {
		return k.State().Holding
	}
	return bridge.Holding{}
}

// readOrder returns an order and who gave it, if that one may.
func (g *Gateway) readOrder(body []byte) (o bridge.Order, who auth.Signer, err error) {
	if len(body) > maxOrder {
		return o, who, fmt.Errorf("%w: the order is longer than %d bytes", ctl.ErrRefused, maxOrder)
	}
	var signed auth.SignedOrder
	if err := json.Unmarshal(body, &signed); err != nil {
		return o, who, fmt.Errorf("%w: the order is unreadable: %w", ctl.ErrRefused, err)
	}
	if who, err = g.force.Load().folder.Verify(&signed, time.Now()); err != nil {
		return o, who, fmt.Errorf("%w: the order does not count: %w", ctl.ErrRefused, err)
	}
	if err := json.Unmarshal(signed.Order, &o); err != nil {
		return o, who, fmt.Errorf("%w: the order is unreadable: %w", ctl.ErrRefused, err)
	}
	return o, who, nil
}

// takeOrder carries out an order that came by the gateway of a stamp. Of several
// replicas the active one does.
func (g *Gateway) takeOrder(ctx context.Context, from topology.StampID, body []byte) (any, error) {
	o, who, err := g.readOrder(body)
	if err != nil {
		g.log.Warn("order refused", "component", "orders", "peer", from, "err", err)
		return nil, err
	}
	k := g.hold.Load()
	if k == nil {
		return nil, errNotConnected
	}
	done, err := k.Do(ctx, o, who.Name, who.Key, from)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, heedLimit)
	defer cancel()
	if p := g.bridge.Load(); p != nil {
		if err := p.inbox.Heed(ctx); err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("order kept, and not in force yet: %w", err)
		}
	}
	return done.Done, nil
}

// passOrder gives an order to every stamp that it is for.
func (g *Gateway) passOrder(ctx context.Context, _ topology.StampID, body []byte) (any, error) {
	return g.Order(ctx, body)
}

// Order gives a signed order, an auth.SignedOrder as JSON, to every stamp that it
// is for, and returns what each made of it when all have answered or after some
// seconds. It may be given again: a stamp that has carried it out does nothing.
func (g *Gateway) Order(ctx context.Context, body []byte) (*OrderReport, error) {
	o, who, err := g.readOrder(body)
	if err != nil {
		return nil, err
	}
	if len(o.To) == 0 || len(o.To) > maxOrderTo {
		return nil, fmt.Errorf("%w: an order is for 1 to %d stamps, this one for %d", ctl.ErrRefused, maxOrderTo, len(o.To))
	}
	v := g.force.Load().view
	out := &OrderReport{APIVersion: "ringway/v1", Kind: "OrderReport", Order: o, By: who.Name, Via: string(v.Me.ID), Answers: []OrderAnswer{}}
	var known []topology.StampID
	for _, s := range o.To {
		if v.Stamp(s) == nil {
			out.Answers = append(out.Answers, OrderAnswer{Stamp: s, Err: fmt.Sprintf("not in the topology of stamp %s", v.Me.ID)})
			continue
		}
		known = append(known, s)
	}
	ctx, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	for _, a := range g.query(ctx, bridge.OrderTake, func(topology.StampID) []byte { return body }, known) {
		is := OrderAnswer{Stamp: a.Stamp}
		err := a.Err
		if err == nil {
			is.Done = &bridge.Done{}
			err = json.Unmarshal(a.Body, is.Done)
		}
		if err != nil {
			is.Done, is.Err = nil, err.Error()
		}
		out.Answers = append(out.Answers, is)
	}
	return out, nil
}

// A HoldStatus says what an operator has a stamp hold.
type HoldStatus struct {
	bridge.Holding
	Held int `json:"held"` // events that wait because of it
}

// holdStatus fills in what operators want.
func (g *Gateway) holdStatus(s *Status) {
	k := g.hold.Load()
	if k == nil {
		return
	}
	is := k.State()
	s.Orders = is.Orders[max(0, len(is.Orders)-ordersShown):]
	s.LogLevel = g.level.name()
	if !is.On() {
		return
	}
	s.Hold = &HoldStatus{Holding: is.Holding}
	if p := g.bridge.Load(); p != nil {
		s.Hold.Held = p.inbox.Held()
	}
}

// causes returns the line about it.
func (h *HoldStatus) causes() []string {
	if h == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s; %d events are held", h.Holding, h.Held)}
}

// errNotOperator reports an order by way of a stamp that only who is connected to
// it may have passed on.
var errNotOperator = errors.New("only an operator has orders passed on, at the stamp it is connected to")
