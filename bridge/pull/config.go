package pull

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// DeadLetters keeps events that can not be posted or put in. Put returns once
// the letter is stored.
type DeadLetters interface {
	Put(ctx context.Context, l bridge.Letter) error
}

// An Access says with what a control plane is called, as names of files. They
// are read again for every call or connection, except CA.
type Access struct {
	TokenFile string // the x-token; "" is none
	CA        string // PEM, whom to trust; "" is the system's
	Cert, Key string // PEM, who we are; "" is nobody
}

// Config is what a Client needs. Fields without a default are required.
type Config struct {
	Relay       *nats.Conn // account RELAY of the local server, with JetStream
	Fed         *nats.Conn // account FED of the local server, with JetStream
	View        func() *topology.View
	Router      func() *bridge.Router
	DeadLetters DeadLetters
	Access      map[string]Access // by the name of the control plane
	// Types returns the event types to poll besides Always. nil is none. Types
	// with wildcards, which Keptn does not serve, are left out.
	Types  func() []string
	Always []string

	Interval   time.Duration // between two polls of everything; 0 is 2 s
	MaxBackoff time.Duration // between two tries after failures; 0 is 30 s
	Timeout    time.Duration // of one call; 0 is 30 s
	// Settle is how long after the end of a POST whose reply was lost an event
	// that was accepted is in mongodb-datastore at the latest; 0 is 5 s.
	Settle time.Duration
	// Keep is for how long an event must be off the list of open ones before it
	// is forgotten; 0 is 1 h. It bridges pages that skip, which Keptn's do.
	Keep  time.Duration
	Posts int // at once to one control plane; 0 is 8
	// MaxWait is how long an answer may wait to be posted before it becomes a
	// dead letter; 0 is 72 h.
	MaxWait time.Duration

	Replicas int // of the stream; 0 is 1
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: metrics that nobody sees
}

func (c Config) check() error {
	switch {
	case c.Relay == nil || c.Fed == nil:
		return errors.New("pull: no connection")
	case c.View == nil || c.Router == nil || c.DeadLetters == nil || c.Log == nil:
		return errors.New("pull: no view, router, dead letters or log")
	}
	return nil
}

func (c *Config) setDefaults() {
	c.Interval = cmp.Or(c.Interval, 2*time.Second)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, 30*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Settle = cmp.Or(c.Settle, 5*time.Second)
	c.Keep = cmp.Or(c.Keep, time.Hour)
	c.MaxWait = cmp.Or(c.MaxWait, 72*time.Hour)
	c.Posts = max(cmp.Or(c.Posts, 8), 1)
	c.Replicas = max(c.Replicas, 1)
	if c.Types == nil {
		c.Types = func() []string { return nil }
	}
}
