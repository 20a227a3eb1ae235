package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge/catch"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/lead"
	"github.com/ringway/ringway/bridge/live"
	"github.com/ringway/ringway/bridge/outbox"
	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/bridge/takeover"
	"github.com/ringway/ringway/bridge/task"
	"github.com/ringway/ringway/internal/run"
)

// A ReplicaStatus is what one replica knows of itself and the others.
type ReplicaStatus struct {
	Name    string    `json:"name"`
	Active  bool      `json:"active"` // it forwards and delivers; otherwise it stands by
	Since   time.Time `json:"since"`  // of the last change of Active
	Holder  string    `json:"holder"` // the active one, when last seen; empty if none
	Want    int       `json:"want"`   // replicas of the stamp, as the topology says
	Reached int       `json:"reached"`
	Quorum  bool      `json:"quorum"` // the stamp's streams can be written
	Err     string    `json:"err,omitempty"`

	// What clients of this replica published and is not stored yet.
	Uncaptured      int       `json:"uncaptured"`
	UncapturedSince time.Time `json:"uncapturedSince,omitzero"`
	UncapturedErr   string    `json:"uncapturedErr,omitempty"` // why
	Lost            uint64    `json:"lost,omitempty"`          // found no room to wait, since the start
}

// causes returns what is wrong among the replicas.
func (r *ReplicaStatus) causes() []string {
	if r == nil {
		return nil
	}
	var out []string
	switch {
	case !r.Quorum:
		out = append(out, fmt.Sprintf("no quorum: %d of %d replicas reached", r.Reached, r.Want))
	case r.Reached < r.Want:
		out = append(out, fmt.Sprintf("%d of %d replicas reached", r.Reached, r.Want))
	case r.Err != "":
		out = append(out, "replica: "+r.Err)
	}
	if r.UncapturedErr != "" {
		out = append(out, fmt.Sprintf("stream %s: %d events are not stored: %s", outbox.StreamOut, r.Uncaptured, r.UncapturedErr))
	}
	if r.Lost > 0 {
		out = append(out, fmt.Sprintf("stream %s: %d events were lost since the start of the process", outbox.StreamOut, r.Lost))
	}
	return out
}

// replicas returns how many replicas the stamp has.
func (g *Gateway) replicas() int { return max(g.force.Load().view.Me.Replicas, 1) }

// replicaStatus returns nil for a stamp of one replica.
func (g *Gateway) replicaStatus() *ReplicaStatus {
	n := g.node.Replicas()
	if n.Want <= 1 {
		return nil
	}
	s := &ReplicaStatus{Name: n.Name, Want: n.Want, Reached: n.Reached, Quorum: n.Quorum, Since: g.since}
	if l := g.lease.Load(); l != nil {
		is := l.State()
		s.Active, s.Since, s.Holder, s.Err = is.Active, is.Since, is.Holder, is.Err
	}
	if c := g.catcher.Load(); c != nil {
		is := c.State()
		s.Uncaptured, s.UncapturedSince, s.UncapturedErr, s.Lost = is.Waiting, is.Since, is.Err, is.Lost
	}
	return s
}

// replicaMetrics registers what can be read at any time.
func (g *Gateway) replicaMetrics() {
	g.reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ringway_replica_active",
			Help: "1 while this replica forwards and delivers the events of its stamp.",
		}, func() float64 {
			if s := g.replicaStatus(); s == nil || s.Active {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ringway_replica_peers",
			Help: "Other replicas of the stamp that this one is connected to.",
		}, func() float64 { return float64(max(g.node.Replicas().Reached-1, 0)) }),
	)
}

// runReplica is runBridge for a stamp of several replicas. It is ready at once:
// clients are served without the other replicas, streams are not.
func (g *Gateway) runReplica(ctx context.Context, ready func(), c *conns, asker *ctl.Asker) error {
	lease, err := lead.New(lead.Config{
		Relay: c.relay, Name: g.opts.Replica.Name, Replicas: g.replicas(), Log: g.log.With("component", "lead"),
		Gone: func(ctx context.Context, holder string) bool { return g.unreached(ctx, c.relay, holder) },
	})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { g.rest.state.Store(stopping) })()
	g.lease.Store(lease)
	carrier, err := g.makeLive(c)
	if err != nil {
		return err
	}
	catcher, err := catch.New(catch.Config{
		Relay: c.relay, Name: g.opts.Replica.Name, Router: g.Router, Log: g.log.With("component", "catch"), Metrics: g.reg,
		Others: func() int { return max(g.node.Replicas().Reached-1, 0) },
	})
	if err != nil {
		return err
	}
	g.catcher.Store(catcher)
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
	var s run.Stack
	g.pushPlanes(&s, planes, false)
	// The active replica has to hear that clients of this one are gone for as
	// long as this one is there, or it takes them to have what they were sent
	// last, and gives others what comes after it.
	s.Push("stories", run.Func(func(ctx context.Context, ready func()) error { return g.answerReplicas(ctx, ready, c.relay) }))
	s.Push("pending", run.Func(func(ctx context.Context, ready func()) error { return g.answerPending(ctx, ready, c.relay) }))
	// What clients publish is heard first and last.
	s.Push("rest", run.Func(func(ctx context.Context, ready func()) error { return g.awaitRest(ctx, ready, c.relay) }))
	s.Push("catch", &keeper{name: "catch", run: catcher.Run, board: g.board, log: g.log})
	s.Push("poll", run.Func(func(ctx context.Context, ready func()) error {
		ready() // other parts do not wait for its store
		return g.pollPart(polls).Run(ctx, func() {})
	}))
	s.Push("clients", run.Func(func(ctx context.Context, ready func()) error { return g.dismissClients(ctx, ready, c) }))
	s.Push("live", &keeper{name: "live", run: carrier.Run, board: g.board, log: g.log})
	s.Push("orders followed", run.Func(func(ctx context.Context, ready func()) error {
		ready() // nobody here waits for the streams
		orders.Follow(ctx)
		return nil
	}))
	s.Push("control questions", &keeper{name: "control questions", run: asker.Run, board: g.board, log: g.log})
	s.Push("reach", run.Func(func(ctx context.Context, ready func()) error { return g.answerReach(ctx, ready, c.relay) }))
	s.Push("routes", run.Func(func(ctx context.Context, ready func()) error { return g.followRoutes(ctx, ready, carrier, catcher) }))
	s.Push("lead", run.Func(func(ctx context.Context, ready func()) error {
		ready()
		box := g.openLetters(ctx, c, func() {})
		return lease.Run(ctx, func(term context.Context) {
			g.act(term, c, box, carrier, catcher)
			if ctx.Err() != nil { // the process stops
				g.stepDown(c)
			}
		})
	}))
	return s.Run(ctx, ready)
}

// followRoutes makes the carrier and the catcher hear the routes of the
// topology in force, also while this replica stands by and has no other part that asks.
func (g *Gateway) followRoutes(ctx context.Context, ready func(), carrier *live.Carrier, catcher *catch.Catcher) error {
	ready()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	was := g.force.Load().router
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if is := g.force.Load().router; is != was {
			if err := errors.Join(carrier.Resubscribe(), catcher.Resubscribe()); err != nil {
				g.log.Warn("routes not followed, will try again", "err", err)
				continue
			}
			was = is
		}
	}
}

// openLetters opens the dead letters as soon as the stamp's streams can be
// made. Until then clients are served without streams, and why is shown: a full
// disk must not take the stamp's NATS away. It returns nil when ctx ends first.
func (g *Gateway) openLetters(ctx context.Context, c *conns, ready func()) *deadletter.Box {
	const name = "dead letters"
	for wait := firstRerun; ; wait = min(2*wait, lastRerun) {
		if g.replicas() > 1 && g.settled(ctx, c) != nil {
			return nil // told to stop
		}
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		box, err := deadletter.Open(asking, c.relay, c.deliver, g.replicas(), g.reg)
		cancel()
		if err == nil {
			g.board.clear(name)
			g.letters.Store(box)
			return box
		}
		if ctx.Err() != nil {
			return nil
		}
		g.board.set(name, err.Error())
		g.log.Warn("dead letters not opened, will try again", "err", err, "after", wait)
		ready()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// act forwards and delivers until ctx ends.
func (g *Gateway) act(ctx context.Context, c *conns, box *deadletter.Box, carrier *live.Carrier, catcher *catch.Catcher) {
	catcher.SetActive(true)
	defer catcher.SetActive(false)
	// Parts are made anew: what an earlier term of this replica knew is old.
	reg := &termRegistry{Registerer: g.reg}
	defer reg.close()
	p, err := g.makeParts(c, box, g.replicas(), reg)
	if err != nil {
		g.log.Error("parts not made", "err", err)
		<-ctx.Done()
		return
	}
	p.live = carrier
	g.bridge.Store(p)
	defer g.bridge.Store(nil)
	defer g.board.clear("orders", "tasks", "pull", "inbox", "canary answers", "outbox", "takeover", "canary", "planes told", "control answers")
	t := g.newTide(c)
	delivering := make(chan struct{})
	var s run.Stack
	s.Push("tide", run.Func(t.watch))
	s.Push("planes told", &keeper{name: "planes told", run: g.planes.Load().Act, board: g.board, log: g.log})
	for _, part := range []struct {
		name string
		run  func(context.Context, func()) error
	}{
		{"orders", loadHold(g.hold.Load())},
		{"tasks", p.tasks.Run},
		{"pull", p.pull.Run},
		{"inbox", t.anew(p.inbox.Run)},
		{"canary answers", p.answer.Run},
		{"outbox", t.anew(p.outbox.Run)},
		{"takeover", p.taken.Run},
		{"canary", p.asker.Run},
		{"control answers", p.ctl.Run},
	} {
		if part.name == "takeover" && p.taken == nil {
			continue // Ringway is the stamp's NATS itself
		}
		k := &keeper{name: part.name, run: part.run, board: g.board, log: g.log}
		if part.name != "inbox" {
			s.Push(part.name, k)
			continue
		}
		// The way out does not wait for the way in: both take their time.
		s.Push(part.name, run.Func(func(ctx context.Context, ready func()) error {
			ready()
			return k.Run(ctx, func() { close(delivering) })
		}))
	}
	s.Push("news", run.Func(func(ctx context.Context, ready func()) error {
		ready()
		select {
		case <-delivering:
			g.log.Info("events move", "component", "lead")
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}))
	if err := s.Run(ctx, func() {}); err != nil {
		g.log.Error("parts ended", "err", err)
	}
}

// stepDown has other replicas lead the streams that this one leads, before one
// of them becomes active.
func (g *Gateway) stepDown(c *conns) {
	ctx, cancel := context.WithTimeout(context.Background(), ask)
	defer cancel()
	t := g.newTide(c)
	leaders, err := t.leaders(ctx)
	if err != nil {
		return // one has no leader: it is not this one
	}
	var wg sync.WaitGroup
	for i, q := range t.questions() {
		if leaders[i] == g.node.Replicas().Server {
			wg.Go(func() {
				_, err := q.nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+q.stream, nil)
				if err != nil {
					g.log.Debug("stream not handed over", "stream", q.stream, "err", err)
				}
			})
		}
	}
	wg.Wait()
}

// ask bounds one question to a stream whose leader may be gone.
const ask = 300 * time.Millisecond

// settled returns when every stream of the stamp that exists has a leader, and
// new ones can be made; or ctx's error. A part that asked before would wait for
// the answer of a leader that is gone.
func (g *Gateway) settled(ctx context.Context, c *conns) error {
	for _, q := range []question{
		{c.relay, ""},
		{c.relay, outbox.StreamOut},
		{c.relay, outbox.StreamHold},
		{c.relay, inbox.StreamState},
		{c.relay, task.Stream},
		{c.relay, pull.Stream},
		{c.relay, takeover.Stream},
		{c.relay, deadletter.Stream},
		{c.fed, inbox.StreamIn},
	} {
		js, err := jetstream.New(q.nc, jetstream.WithDefaultTimeout(ask))
		if err != nil {
			return err
		}
		for said := time.Now(); ; {
			if q.stream == "" {
				_, err = js.AccountInfo(ctx)
			} else {
				_, err = js.Stream(ctx, q.stream)
			}
			if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
				break
			}
			if time.Since(said) > slowStart {
				said = time.Now()
				g.log.Warn("streams have no leader yet", "stream", q.stream, "err", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(ask / 10):
			}
		}
	}
	return nil
}

// A termRegistry registers the metrics of parts that come and go.
type termRegistry struct {
	prometheus.Registerer
	mine []prometheus.Collector
}

// MustRegister remembers what it registers.
func (r *termRegistry) MustRegister(cs ...prometheus.Collector) {
	r.Registerer.MustRegister(cs...)
	r.mine = append(r.mine, cs...)
}

func (r *termRegistry) close() {
	for _, c := range r.mine {
		r.Unregister(c)
	}
}
