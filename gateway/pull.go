package gateway

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/topology"
)

// makePull makes what speaks for the stamp with control planes that are reached
// by HTTP only. Of several replicas the one that moves events does so.
func (g *Gateway) makePull(c *conns, box letterbook, replicas int, reg prometheus.Registerer) (*pull.Client, error) {
	access := map[string]pull.Access{}
	for name, a := range g.opts.ControlPlanes {
		access[name] = pull.Access(a)
	}
	return pull.New(pull.Config{
		Relay: c.relay, Fed: c.fed, Router: g.Router, DeadLetters: box, Access: access,
		View:  func() *topology.View { return g.force.Load().view },
		Types: g.subscribedTypes, Always: g.opts.Pull.Types, Interval: g.opts.Pull.Interval, Settle: g.opts.Pull.Settle, MaxWait: g.opts.Events.MaxWait,
		Replicas: replicas, Log: g.log.With("component", "pull"), Metrics: reg,
	})
}

// subscribedTypes returns what the planes of the federation are known to
// subscribe to.
func (g *Gateway) subscribedTypes() []string {
	if r := g.planes.Load(); r != nil {
		return r.Types()
	}
	return nil
}

// pullCauses says what is wrong with control planes that are polled.
func pullCauses(states []pull.State) []string {
	var out []string
	for _, s := range states {
		if s.Err != "" {
			out = append(out, fmt.Sprintf("control plane %s is not polled: %s", s.Control, s.Err))
		}
		if s.PostErr != "" {
			out = append(out, fmt.Sprintf("control plane %s: %d answers wait: %s", s.Control, s.Waiting, s.PostErr))
		}
	}
	return out
}
