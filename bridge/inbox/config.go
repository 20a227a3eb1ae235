package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// DeadLetters keeps events that cannot be delivered. Put returns once the
// letter is stored.
type DeadLetters interface {
	Put(ctx context.Context, l bridge.Letter) error
}

// Config is what an Inbox needs. All fields but Metrics and those with a
// default are required.
type Config struct {
	Me          topology.StampID
	Fed         *nats.Conn                // account FED of the local server, with JetStream
	Relay       *nats.Conn                // account RELAY of the local server, with JetStream
	Deliver     *nats.Conn                // account DELIVER of the local server
	Interest    func(subject string) bool // whether a client of the stamp subscribes
	Router      func() *bridge.Router
	DeadLetters DeadLetters
	Gate        Gate
	// Ready reports whether the planes of a subject can take events, and if
	// not, why. nil is always.
	Ready func(subject string) (ok bool, why string)
	// Subscribers returns the stamp's clients that subscribe to a subject. nil
	// is nobody that is known: nothing is paced.
	Subscribers func(subject string) []Subscriber
	// Unanswered reports whether it is sure that no plane of this stamp has
	// answered a task. nil is never known to have.
	Unanswered func(triggered string) bool
	// MaxPayload returns how long a message, with its headers, the NATS of the
	// stamp's clients takes, in bytes; 0 is as long as the local server. A
	// longer one would cut the leafnode and be lost. nil is always 0.
	MaxPayload func() int64
	// Holding says whether an operator has the stamp hold what begins something
	// new. It is asked often; Heed has a change take effect at once. nil is never.
	Holding func() bridge.Holding
	// Sinks get a copy of what they want, before the stamp's clients. nil is
	// none.
	Sinks []bridge.Sink

	Window     time.Duration // how long an event is known after delivery; 0 is 24 h, which is the least
	MaxWait    time.Duration // how long an event may wait for a subscriber; 0 is 72 h
	MaxWaiting int           // how many events may wait for a subscriber; 0 is 500,000
	// MaxWaitingBytes is how much may wait for a subscriber; 0 is 1 GiB.
	MaxWaitingBytes int64
	// DoubtTime is how long an answer is waited for before a task is given
	// again that a plane may have got; 0 is 3 s.
	DoubtTime time.Duration
	// ReofferAfter is after what time a task that nobody answered is given
	// again, at most ReofferTimes times; 0 is never.
	ReofferAfter time.Duration
	ReofferTimes int           // 0 is 1
	Replicas     int           // of the streams; 0 is 1
	Trace        bridge.Tracer // nil: nothing is traced
	// Journal is told of the way of each event; nil: nobody is.
	Journal bridge.Scribe
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

func (c Config) check() error {
	switch {
	case c.Me == "":
		return errors.New("inbox: no stamp")
	case c.Fed == nil || c.Relay == nil || c.Deliver == nil:
		return errors.New("inbox: no connection")
	case c.Interest == nil || c.Router == nil || c.DeadLetters == nil || c.Gate == nil || c.Log == nil:
		return errors.New("inbox: no interest, router, dead letters, gate or log")
	case c.Window != 0 && c.Window < 24*time.Hour:
		return fmt.Errorf("inbox: window %s is shorter than 24h", c.Window)
	}
	return nil
}

func (c *Config) setDefaults() {
	c.Window = cmp.Or(c.Window, 24*time.Hour)
	c.MaxWait = cmp.Or(c.MaxWait, 72*time.Hour)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 500_000)
	c.MaxWaitingBytes = cmp.Or(c.MaxWaitingBytes, 1<<30)
	c.DoubtTime = cmp.Or(c.DoubtTime, 3*time.Second)
	c.ReofferTimes = cmp.Or(c.ReofferTimes, 1)
	c.Replicas = max(c.Replicas, 1)
	if c.Ready == nil {
		c.Ready = func(string) (bool, string) { return true, "" }
	}
	if c.Holding == nil {
		c.Holding = func() bridge.Holding { return bridge.Holding{} }
	}
	if c.Subscribers == nil {
		c.Subscribers = func(string) []Subscriber { return nil }
	}
	if c.Unanswered == nil {
		c.Unanswered = func(string) bool { return true }
	}
}
