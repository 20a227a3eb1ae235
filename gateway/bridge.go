package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/canary"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/live"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/bridge/takeover"
	"github.com/ringway/ringway/bridge/task"
	"github.com/ringway/ringway/internal/run"
	"github.com/ringway/ringway/topology"
)

// parts are the mechanisms that move events.
type parts struct {
	outbox *outbox.Outbox
	inbox  *inbox.Inbox
	tasks  *task.Tasks
	pull   *pull.Client
	live   *live.Carrier
	asker  *canary.Asker
	answer *canary.Answerer
	ctl    *ctl.Server
	taken  *takeover.Takeover // nil: Ringway is the stamp's NATS itself
}

// conns are the bridge's connections to the local server, one an account, and to
// the NATS that was there before, if there is one.
type conns struct {
	fed, relay, deliver *nats.Conn
	external            *clientele
}

func (c *conns) close() {
	c.external.close()
	for _, nc := range []*nats.Conn{c.fed, c.relay, c.deliver} {
		if nc != nil {
			nc.Close()
		}
	}
}

func (g *Gateway) connect() (*conns, error) {
	c := &conns{}
	var errs []error
	for _, a := range []struct {
		user auth.LocalUser
		to   **nats.Conn
	}{{auth.UserFed, &c.fed}, {auth.UserRelay, &c.relay}, {auth.UserDeliver, &c.deliver}} {
		var err error
		*a.to, err = g.node.Connect("ringway-"+string(a.user), g.credentials(a.user), nats.ErrorHandler(g.asyncError),
			nats.IgnoreAuthErrorAbort()) // a new identity may be a moment behind the revocation of the old one
		errs = append(errs, err)
	}
	var err error
	c.external, err = g.external()
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		c.close()
		return nil, fmt.Errorf("connect bridge: %w", err)
	}
	return c, nil
}

// credentials makes a connection prove each time that it is made who it is, by
// the identity that is in force then.
func (g *Gateway) credentials(u auth.LocalUser) nats.Option {
	now := func() (*nats.Options, error) {
		creds, err := g.force.Load().folder.LocalCreds(u, time.Now())
		if err != nil {
			return nil, err
		}
		o := &nats.Options{}
		return o, nats.UserCredentialBytes(creds)(o)
	}
	return nats.UserJWT(func() (string, error) {
		o, err := now()
		if err != nil {
			return "", err
		}
		return o.UserJWT()
	}, func(nonce []byte) ([]byte, error) {
		o, err := now()
		if err != nil {
			return nil, err
		}
		return o.SignatureCB(nonce)
	})
}

// asyncError logs what NATS says about a connection apart from any call: a
// permission that is missing, a reader that is too slow.
func (g *Gateway) asyncError(_ *nats.Conn, s *nats.Subscription, err error) {
	subject := ""
	if s != nil {
		subject = s.Subject
	}
	g.noteDenied(err)
	g.log.Error("bridge connection has a problem", "subject", subject, "err", err)
}

// runBridge connects to the local server and moves events until ctx ends.
func (g *Gateway) runBridge(ctx context.Context, ready func()) error {
	c, err := g.connect()
	if err != nil {
		return err
	}
	defer c.close()
	asker := g.openAsker(c)
	replicas := g.replicas()
	if replicas > 1 {
		err := g.runReplica(ctx, ready, c, asker)
		if ctx.Err() != nil {
			g.node.Shut() // before the places of our own connections are free
		}
		return err
	}
	g.lookDamaged(ctx, c)
	box := g.openLetters(ctx, c, ready)
	if box == nil {
		return nil // told to stop
	}
	planes, err := g.openPlanes(c)
	if err != nil {
		return err
	}
	orders, err := g.openHold(c)
	if err != nil {
		return err
	}
	polls, err := g.makePoll(c)
	if err != nil {
		return err
	}
	g.poll.Store(polls)
	p, err := g.makeParts(c, box, replicas, g.reg)
	if err != nil {
		return err
	}
	if p.live, err = g.makeLive(c); err != nil {
		return err
	}
	g.bridge.Store(p)
	// The inbox comes before the outbox and goes after it: what others send is
	// stored as long as the servers run, and delivered as long as possible. Both
	// ask the tasks.
	var s run.Stack
	g.pushPlanes(&s, planes, true)
	s.Push("poll", g.pollPart(polls)) // what is open is known before anything is said of it
	for _, part := range []struct {
		name string
		run  func(context.Context, func()) error
	}{
		{"orders", orders.Run},
		{"tasks", p.tasks.Run},
		{"pull", p.pull.Run},
		{"inbox", p.inbox.Run},
		{"canary answers", p.answer.Run},
		{"live", p.live.Run},
		{"outbox", p.outbox.Run},
		{"takeover", p.taken.Run},
		{"canary", p.asker.Run},
		{"control answers", p.ctl.Run},
		{"control questions", asker.Run},
	} {
		if part.name == "takeover" && p.taken == nil {
			continue // Ringway is the stamp's NATS itself
		}
		s.Push(part.name, &keeper{name: part.name, run: part.run, board: g.board, log: g.log})
	}
	return s.Run(ctx, ready)
}

func (g *Gateway) makeLive(c *conns) (*live.Carrier, error) {
	return live.New(live.Config{
		Me: g.opts.Stamp, Relay: c.relay, Fed: c.fed, Deliver: c.deliver, MaxPayload: c.external.maxPayload, Router: g.Router,
		Log: g.log.With("component", "live"), Metrics: g.reg,
	})
}

// makeParts makes the parts of which one replica of a stamp runs.
func (g *Gateway) makeParts(c *conns, box *deadletter.Box, replicas int, reg prometheus.Registerer) (*parts, error) {
	me := g.opts.Stamp
	p := &parts{}
	letters := letterbook{box, g}
	subscribers := g.here
	if replicas > 1 {
		subscribers = g.newCensus(c.relay).of
	}
	if here := subscribers; c.external != nil {
		subscribers = func(subject string) []inbox.Subscriber { return c.external.behind(here(subject), subject) }
	}
	var err error
	if p.pull, err = g.makePull(c, letters, replicas, reg); err != nil {
		return nil, err
	}
	sinks := append(g.sinks(), p.pull, &g.probes)
	p.tasks, err = task.New(task.Config{
		Me: me, Relay: c.relay, Fed: c.fed, Router: g.Router, DeadLetters: letters, Journal: g.scribe(),
		Send:   func(ctx context.Context, o task.Offer) error { return p.outbox.Send(ctx, outbox.Offer(o)) },
		Away:   func(s topology.StampID) bool { return p.outbox.Away(s) },
		Silent: func(s topology.StampID) bool { return p.outbox.Away(s) || g.unheard(p.asker, s) }, TellAfter: g.opts.Events.TellAfter,
		Frozen: func(s topology.StampID) bool { return frozen(p.asker, s) },
		LetGo: func(ctx context.Context, triggered string) bool {
			return p.outbox.NoAnswer(ctx, triggered) && p.inbox.LetGo(ctx, triggered)
		},
		MaxWait: g.opts.Events.MaxWait, Replicas: replicas, Log: g.log.With("component", "tasks"), Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	p.inbox, err = inbox.New(inbox.Config{
		Me: me, Fed: c.fed, Relay: c.relay, Deliver: c.deliver, Interest: g.node.Interest, Router: g.Router, DeadLetters: letters, Journal: g.scribe(), Trace: g.tracer(), Gate: p.tasks, Sinks: sinks,
		MaxPayload:  c.external.maxPayload,
		Holding:     g.holding,
		Subscribers: subscribers, Ready: g.planesReady, Unanswered: func(triggered string) bool { return p.outbox.Unanswered(triggered) },
		Window: g.opts.Events.Window, MaxWait: g.opts.Events.MaxWait, MaxWaiting: g.opts.Events.MaxWaiting,
		MaxWaitingBytes: g.opts.Events.MaxWaitingBytes, DoubtTime: g.opts.Events.DoubtTime,
		ReofferAfter: g.opts.Events.ReofferAfter, ReofferTimes: g.opts.Events.ReofferTimes,
		Replicas: replicas, Log: g.log.With("component", "inbox"), Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	in, err := newArrivals(me, c.fed, p.inbox.PackedBy)
	if err != nil {
		return nil, err
	}
	order, err := g.makeTakeover(in, c, p, replicas, reg)
	if err != nil {
		return nil, err
	}
	p.outbox, err = outbox.New(outbox.Config{
		Me: me, Relay: c.relay, Fed: c.fed, Router: g.Router, DeadLetters: letters, Journal: g.scribe(), Trace: g.tracer(), Tasks: p.tasks, Planes: p.inbox, Order: order, Sinks: sinks,
		GivenBy:    func(task bridge.Key) topology.StampID { return g.givenBy(in, task) },
		Packs:      func(s topology.StampID) bool { return p.asker.Packs(s) },
		AckTimeout: g.opts.Events.AckTimeout, Replicas: replicas, Eras: eras{g}, State: inbox.StreamState,
		Log: g.log.With("component", "outbox"), Metrics: reg,
	})
	if err != nil {
		return nil, err
	}
	if p.ctl, err = g.makeCtl(c); err != nil {
		return nil, err
	}
	return p, g.makeCanary(c, p, reg)
}

// makeCanary makes what shows that events get through. Of several replicas the
// one that moves events asks and answers.
func (g *Gateway) makeCanary(c *conns, p *parts, reg prometheus.Registerer) error {
	js, err := jetstream.New(c.fed)
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	p.answer, err = canary.NewAnswerer(canary.AnswerConfig{
		Me: g.opts.Stamp, Fed: c.fed, Version: Version(), Packs: true, Log: g.log.With("component", "canary"),
		Hash: func() string { return g.force.Load().view.Hash },
		Hold: func() string { return g.holding().Why() },
		Store: func(ctx context.Context) error {
			_, err := js.Stream(ctx, inbox.StreamIn)
			return err
		},
	})
	if err != nil {
		return err
	}
	p.asker, err = canary.NewAsker(canary.AskConfig{
		Me: g.opts.Stamp, Fed: c.fed, Interval: g.opts.Events.CanaryInterval,
		Peers: func() []topology.StampID { return g.force.Load().view.Peers() },
		Log:   g.log.With("component", "canary"), Metrics: reg,
	})
	return err
}
