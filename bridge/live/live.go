package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Config is what a Carrier needs. All fields but Metrics are required.
type Config struct {
	Me      topology.StampID
	Relay   *nats.Conn // account RELAY, which hears the stamp's clients
	Fed     *nats.Conn // account FED
	Deliver *nats.Conn // account DELIVER
	// MaxPayload returns how long a message, with its headers, the NATS of the
	// stamp's clients takes, in bytes; 0 is as long as the local server. nil is
	// always 0.
	MaxPayload func() int64
	Router     func() *bridge.Router
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

// queue is the group in which the replicas of a stamp share messages, so that
// each is carried once.
const queue = "ringway-live"

// A Carrier passes messages of live routes in both directions. Its methods are
// safe for concurrent use.
type Carrier struct {
	cfg     Config
	sent    *prometheus.CounterVec
	got     *prometheus.CounterVec
	refused *prometheus.CounterVec

	mu   sync.Mutex // guards the following field
	subs map[topology.Pattern]*nats.Subscription
}

// New checks cfg and returns a Carrier that does nothing until Run.
func New(cfg Config) (*Carrier, error) {
	if cfg.Me == "" || cfg.Relay == nil || cfg.Fed == nil || cfg.Deliver == nil || cfg.Router == nil || cfg.Log == nil {
		return nil, errors.New("live: incomplete configuration")
	}
	f := promauto.With(cfg.Metrics)
	return &Carrier{
		cfg: cfg, subs: map[topology.Pattern]*nats.Subscription{},
		sent: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_live_sent_total", Help: "Messages of live routes sent to a stamp.",
		}, []string{"to"}),
		got: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_live_received_total", Help: "Messages of live routes received from a stamp.",
		}, []string{"from"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_live_refused_total", Help: "Messages of live routes that no route or policy allows.",
		}, []string{"from"}),
	}, nil
}

// Run carries until ctx is cancelled.
func (c *Carrier) Run(ctx context.Context, ready func()) error {
	in, err := c.cfg.Fed.QueueSubscribe(bridge.LiveFor(c.cfg.Me), queue, c.receive)
	if err != nil {
		return fmt.Errorf("subscribe live routes: %w", err)
	}
	defer func() { _ = in.Unsubscribe() }() // the connection may be closed already
	if err := c.Resubscribe(); err != nil {
		return err
	}
	defer c.unsubscribe(nil)
	ready()
	<-ctx.Done()
	return nil
}

// Resubscribe listens to the subjects of the current Router's live routes.
// Call it when the Router has changed.
func (c *Carrier) Resubscribe() error {
	want := map[topology.Pattern]bool{}
	for _, p := range c.cfg.Router().CustomSubjects(topology.RouteLive) {
		want[p] = true
	}
	c.unsubscribe(want)
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range want {
		if c.subs[p] != nil {
			continue
		}
		s, err := c.cfg.Relay.QueueSubscribe(bridge.CapturePrefix+string(p), queue, c.send)
		if err != nil {
			return fmt.Errorf("subscribe live route %s: %w", p, err)
		}
		c.subs[p] = s
	}
	return nil
}

// unsubscribe drops every subscription that is not wanted.
func (c *Carrier) unsubscribe(want map[topology.Pattern]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, s := range c.subs {
		if !want[p] {
			_ = s.Unsubscribe() // the connection may be closed already
			delete(c.subs, p)
		}
	}
}

func (c *Carrier) send(m *nats.Msg) {
	subject := strings.TrimPrefix(m.Subject, bridge.CapturePrefix)
	for _, t := range c.cfg.Router().Custom(subject, topology.RouteLive).Targets {
		out := &nats.Msg{Subject: bridge.LiveSubject(t.Stamp, c.cfg.Me, subject), Header: m.Header, Data: m.Data}
		if err := c.cfg.Fed.PublishMsg(out); err != nil {
			c.cfg.Log.Debug("live message lost", "peer", t.Stamp, "err", err)
			continue
		}
		c.sent.WithLabelValues(string(t.Stamp)).Inc()
	}
}

func (c *Carrier) receive(m *nats.Msg) {
	_, from, subject, ok := bridge.Address(m.Subject)
	if !ok {
		return
	}
	if c.cfg.Router().AcceptCustom(from, subject, topology.RouteLive) != bridge.ReasonNone {
		c.refused.WithLabelValues(string(from)).Inc()
		return
	}
	c.got.WithLabelValues(string(from)).Inc()
	out := &nats.Msg{Subject: subject, Header: m.Header, Data: m.Data}
	if c.cfg.MaxPayload != nil {
		if most := c.cfg.MaxPayload(); most > 0 && int64(out.Size()) > most { // it would cut the leafnode
			c.cfg.Log.Debug("live message lost", "peer", from, "err", nats.ErrMaxPayload)
			return
		}
	}
	if err := c.cfg.Deliver.PublishMsg(out); err != nil {
		c.cfg.Log.Debug("live message lost", "peer", from, "err", err)
	}
}
