package plane

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/topology"
)

// Config is what a Registry needs. Fields without a default are required.
type Config struct {
	Me    topology.StampID
	Relay *nats.Conn            // account RELAY of the local server, with JetStream
	Fed   *nats.Conn            // account FED
	View  func() *topology.View // in force
	// Upstream is the way to Keptn's API. nil, or what returns nil, is that there
	// is none.
	Upstream call.Upstream
	// Clients returns the clients that subscribe at this replica. nil is none.
	Clients func() []Client
	// Namespace is what control planes are told for the namespace of a plane:
	// {{stamp}}, {{namespace}} and {{plane}} stand for the stamp, the plane's own
	// namespace and its caller. Empty is keptn-exec.{{stamp}}.
	Namespace string

	Refresh  time.Duration // how often a control plane is told that a plane lives: half its TTL at most; 0 is 30 s
	Lease    time.Duration // for how long a plane that says nothing counts as alive; 0 is 1 m
	Grace    time.Duration // after what time a plane that did not register is deregistered when it is gone; 0 is 10 m
	Behalf   time.Duration // for how long a plane must be seen before it is registered on its behalf; 0 is 15 s
	Announce time.Duration // how often other stamps are told; 0 is 30 s
	Replicas int           // of the bucket; 0 is 1
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

const (
	// forgetAfter is when a plane that registered itself and says nothing any
	// more is forgotten. Keptn's chart does it after the same time.
	forgetAfter = 48 * time.Hour
	// tombAfter is for how long it is known that a plane was taken out.
	tombAfter = time.Hour
)

func (c *Config) check() error {
	if c.Me == "" || c.Relay == nil || c.Fed == nil || c.View == nil || c.Log == nil || c.Metrics == nil {
		return errors.New("plane: incomplete configuration")
	}
	if c.Upstream == nil {
		c.Upstream = noUpstream
	}
	if c.Clients == nil {
		c.Clients = func() []Client { return nil }
	}
	c.Namespace = cmp.Or(c.Namespace, "keptn-exec.{{stamp}}")
	c.Refresh, c.Lease, c.Grace = cmp.Or(c.Refresh, 30*time.Second), cmp.Or(c.Lease, time.Minute), cmp.Or(c.Grace, 10*time.Minute)
	c.Behalf, c.Announce = cmp.Or(c.Behalf, 15*time.Second), cmp.Or(c.Announce, 30*time.Second)
	c.Replicas = max(c.Replicas, 1)
	return nil
}
