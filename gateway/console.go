package gateway

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/gateway/console"
)

// newConsole makes the pages for people. They show what the admin face shows.
func (g *Gateway) newConsole() (*console.Console, error) {
	return console.New(console.Config{
		Federation: func(ctx context.Context) any { return g.Federation(ctx) },
		Waiting:    g.waitingEvents,
		Planes:     g.planeList,
		Why:        func(ctx context.Context, match string) (any, error) { return g.Why(ctx, match) },
		Shape:      g.shape,
		Sample:     g.sample,
		See:        See,
		Log:        g.log.With("component", "console"),
	})
}

// shape is what the console draws, and /federation does not say.
func (g *Gateway) shape() console.Shape {
	m := g.force.Load().view.Mesh
	out := console.Shape{Via: map[string][]string{}}
	for _, r := range m.Rings {
		out.Rings = append(out.Rings, string(r))
	}
	for _, s := range m.Stamps {
		for _, h := range s.Link.Via {
			out.Via[string(s.ID)] = append(out.Via[string(s.ID)], string(h))
		}
	}
	return out
}

// sample is where the console's charts come from: our own counters, and what
// canaries last found.
func (g *Gateway) sample() console.Sample {
	out := console.Sample{Delay: map[string]float64{}}
	p := g.bridge.Load()
	if p == nil {
		return out
	}
	out.Sent, out.Delivered = total(p.outbox.Counter()), total(p.inbox.Counter())
	now := time.Now()
	for _, c := range p.asker.Peers() {
		if c.RTT > 0 && c.Age(now) <= staleAfter*g.opts.Events.CanaryInterval {
			out.Delay[string(c.Stamp)] = max(c.Delay, 0).Seconds()
		}
	}
	return out
}

// total adds up the series of a counter.
func total(c prometheus.Collector) float64 {
	r := prometheus.NewRegistry()
	if r.Register(c) != nil {
		return 0
	}
	all, err := r.Gather()
	if err != nil {
		return 0
	}
	sum := 0.0
	for _, f := range all {
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}
