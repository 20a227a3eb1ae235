package catch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// Bounds of a Catcher.
const (
	// MaxWaiting is how many events wait for the stream; one more is lost, and
	// counted.
	MaxWaiting = 200_000
	// MaxBytes is how much memory they take, in bytes, apart from overheads.
	MaxBytes = 512 << 20

	maxFlying  = 2048                   // sent and not answered
	answerTime = time.Second            // for the stream's leader
	retryTime  = 100 * time.Millisecond // after an answer that it was not stored
	strayTime  = 5 * time.Second        // until one that the active replica has not heard is stored by whoever has it
	clearTime  = 500 * time.Millisecond // between what an active one says of what it holds
	drainTime  = 3 * time.Second        // for what is left at the end
	tellTime   = 5 * time.Millisecond   // between what is stored and what is told
)

// stored begins the subject on which a replica tells what it has stored; its
// name follows. An empty message says that it is active, and holds nothing that
// is older than strayTime/2: what another one has held for longer it never heard.
const stored = "lead.stored."

// Config is what a Catcher needs. All fields but Others and Metrics are required.
type Config struct {
	Relay   *nats.Conn // account RELAY of the local server
	Name    string     // of this replica
	Router  func() *bridge.Router
	Others  func() int // how many other replicas this one is connected to; nil: nobody is asked for what is not stored
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// A State is what a Catcher holds.
type State struct {
	Waiting int       // events heard that are not known to be stored
	Since   time.Time // when the oldest of them was heard; zero if none
	Lost    uint64    // events that found no room, since the start
	Err     string    // why the stream did not take one; empty once it takes one
}

// A Catcher stores what clients publish. Its methods are safe for concurrent
// use.
type Catcher struct {
	cfg     Config
	metrics *metrics
	heard   chan *item
	told    chan []hash
	asked   chan question
	handed  chan handed
	answers chan answer
	modes   chan mode

	mu    sync.Mutex // guards the following fields
	subs  map[string]*nats.Subscription
	state State
	quit  chan struct{} // closed when nobody reads the channels
	want  bool          // what SetActive was told last
}

// A mode is an order to be active or not; done is closed when it is obeyed.
type mode struct {
	active bool
	done   chan struct{}
}

// New checks cfg and returns a Catcher that does nothing until Run.
func New(cfg Config) (*Catcher, error) {
	if cfg.Relay == nil || cfg.Name == "" || cfg.Router == nil || cfg.Log == nil {
		return nil, errors.New("catch: incomplete configuration")
	}
	return &Catcher{
		cfg: cfg, metrics: newMetrics(cfg.Metrics),
		heard: make(chan *item, 1024), told: make(chan []hash, 64), asked: make(chan question, 4), handed: make(chan handed, 1024), answers: make(chan answer, 1024), modes: make(chan mode),
		subs: map[string]*nats.Subscription{}, quit: make(chan struct{}),
	}, nil
}

// State returns what is held now.
func (c *Catcher) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *Catcher) note(change func(*State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
}

// SetActive says whether this replica is the active one. When it returns false
// is obeyed: nothing is sent to the stream any more.
func (c *Catcher) SetActive(active bool) {
	c.mu.Lock()
	c.want = active // for a run that begins only now
	quit := c.quit
	c.mu.Unlock()
	m := mode{active, make(chan struct{})}
	select {
	case c.modes <- m:
		<-m.done
	case <-quit:
	}
}

func (c *Catcher) stopped() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quit
}

// Run catches until ctx ends, and then for a few seconds waits for what is left
// to be stored. It calls ready once it hears the clients. It may be called
// again after it has returned.
func (c *Catcher) Run(ctx context.Context, ready func()) error {
	quit := make(chan struct{})
	c.mu.Lock()
	c.quit = quit
	c.mu.Unlock()
	defer close(quit)
	inbox := c.cfg.Relay.NewInbox()
	gathered := c.cfg.Relay.NewInbox()
	for subject, f := range map[string]nats.MsgHandler{inbox + ".*": c.onReply, stored + "*": c.onTold, gather + "*": c.onAsked, gathered: c.onHanded} {
		s, err := c.cfg.Relay.Subscribe(subject, f)
		if err != nil {
			return fmt.Errorf("subscribe %s: %w", subject, err)
		}
		defer func() { _ = s.Unsubscribe() }() // the connection may be closed already
		if err := s.SetPendingLimits(-1, -1); err != nil {
			return fmt.Errorf("subscribe %s: %w", subject, err)
		}
	}
	defer c.unsubscribe(nil)
	if err := c.Resubscribe(); err != nil {
		return err
	}
	if err := c.cfg.Relay.FlushTimeout(drainTime); err != nil {
		return fmt.Errorf("hear clients: %w", err)
	}
	ready()
	l := newLoop(c, inbox, gathered)
	c.mu.Lock()
	active := c.want
	c.mu.Unlock()
	if active {
		l.setActive(true)
	}
	l.run(ctx)
	return nil
}

// Resubscribe hears the subjects of the current Router's durable routes. Call
// it when the Router has changed.
func (c *Catcher) Resubscribe() error {
	want := map[string]bool{bridge.CapturePrefix + "sh.keptn.>": true}
	for _, p := range c.cfg.Router().CustomSubjects(topology.RouteDurable) {
		want[bridge.CapturePrefix+string(p)] = true
	}
	c.unsubscribe(want)
	c.mu.Lock()
	defer c.mu.Unlock()
	for subject := range want {
		if c.subs[subject] != nil {
			continue
		}
		s, err := c.cfg.Relay.Subscribe(subject, c.hear)
		if err != nil {
			return fmt.Errorf("subscribe %s: %w", subject, err)
		}
		if err := s.SetPendingLimits(-1, -1); err != nil {
			return fmt.Errorf("subscribe %s: %w", subject, err)
		}
		c.subs[subject] = s
	}
	return nil
}

// unsubscribe drops every subscription that is not wanted.
func (c *Catcher) unsubscribe(want map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for subject, s := range c.subs {
		if !want[subject] {
			_ = s.Unsubscribe() // the connection may be closed already
			delete(c.subs, subject)
		}
	}
}

// drain takes no more of clients than has been sent to this connection.
func (c *Catcher) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		_ = s.Drain() // the connection may be closed already
	}
}

// draining reports whether something of that has not been taken.
func (c *Catcher) draining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for subject, s := range c.subs {
		if s.IsValid() {
			return true
		}
		delete(c.subs, subject)
	}
	return false
}

// hear takes a message of a client.
func (c *Catcher) hear(m *nats.Msg) {
	it := newItem(strings.TrimPrefix(m.Subject, bridge.CapturePrefix), m)
	select {
	case c.heard <- it:
	case <-c.stopped():
	}
}

// onTold takes what another replica has stored.
func (c *Catcher) onTold(m *nats.Msg) {
	if m.Subject == stored+c.cfg.Name {
		return // its own
	}
	select {
	case c.told <- hashes(m.Data):
	case <-c.stopped():
	}
}

// onAsked takes a question of another replica.
func (c *Catcher) onAsked(m *nats.Msg) {
	if m.Subject == gather+c.cfg.Name || m.Reply == "" {
		return // its own
	}
	select {
	case c.asked <- question{reply: m.Reply, has: hashes(m.Data), more: m.Header.Get(headerMore) != ""}:
	case <-c.stopped():
	}
}

// onHanded takes what another replica has.
func (c *Catcher) onHanded(m *nats.Msg) {
	h, ok := received(m)
	if !ok {
		return
	}
	select {
	case c.handed <- h:
	case <-c.stopped():
	}
}

// onReply takes an answer of the stream.
func (c *Catcher) onReply(m *nats.Msg) {
	n, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 10, 64)
	if err != nil {
		return
	}
	select {
	case c.answers <- answer{n, m.Data, verdict(m)}:
	case <-c.stopped():
	}
}
