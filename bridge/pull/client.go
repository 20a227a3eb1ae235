package pull

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// lookEvery is how often the topology is asked which control planes there are,
// forgetEvery how often it is looked whether something can be forgotten.
const (
	lookEvery   = time.Second
	forgetEvery = time.Minute
)

// A Client speaks for a stamp with the control planes that the topology says
// are polled from it. Of several replicas one runs it. It is a bridge.Sink, and
// safe for concurrent use.
type Client struct {
	cfg     Config
	metrics *metrics

	mu      sync.Mutex // guards the following fields
	term    *term      // nil: not running
	changed chan struct{}
}

var _ bridge.Sink = (*Client)(nil)

// New checks cfg and returns a Client that does nothing until Run.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	return &Client{cfg: cfg, metrics: newMetrics(cfg.Metrics), changed: make(chan struct{})}, nil
}

// Run polls and posts until ctx is cancelled. It calls ready when it has read
// what earlier runs have left. It fails if its stream can not be read, or
// another process does this work; it may be called again after it has returned.
func (c *Client) Run(ctx context.Context, ready func()) error {
	for len(c.polled()) == 0 { // nothing is made where nothing is to be done
		ready()
		if !pause(ctx, lookEvery) {
			return nil
		}
	}
	t, err := c.begin(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer t.close()
	defer t.wg.Wait()
	defer t.stop(cancel)
	t.start(ctx)
	c.setTerm(t)
	defer t.puts.Wait() // the next run must find what is stored now
	defer c.setTerm(nil)
	ready()
	tick, looked := time.NewTicker(min(lookEvery, c.cfg.Interval)), time.Now()
	defer tick.Stop()
	for {
		t.reconcile(ctx)
		select {
		case <-ctx.Done():
			return nil
		case err := <-t.failed:
			return err
		case now := <-tick.C:
			if now.Sub(looked) >= min(forgetEvery, c.cfg.Keep/4) {
				looked = now
				t.forget(ctx, now)
			}
		}
	}
}

func (c *Client) setTerm(t *term) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.term = t
	close(c.changed)
	c.changed = make(chan struct{})
}

// running waits until Run has read what was left. The caller says t.puts.Done
// when it has stored.
func (c *Client) running(ctx context.Context) (*term, error) {
	for {
		c.mu.Lock()
		t, changed := c.term, c.changed
		if t != nil {
			t.puts.Add(1)
		}
		c.mu.Unlock()
		if t != nil {
			return t, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("hand over to control plane: %w", ctx.Err())
		}
	}
}

// A State is how it stands with one control plane.
type State struct {
	Control string    `json:"control"`
	Polled  time.Time `json:"polled,omitzero"` // when it last answered a whole round
	Known   int       `json:"known"`           // open events
	Waiting int       `json:"waiting"`         // answers that are not posted
	Oldest  time.Time `json:"oldest,omitzero"` // since when the oldest of them waits
	Err     string    `json:"err,omitempty"`   // why it can not be polled
	PostErr string    `json:"postErr,omitempty"`
}

// States returns the state of every control plane, by name; none while Run does
// not run.
func (c *Client) States() []State {
	c.mu.Lock()
	t := c.term
	c.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.list()
}

// A term is one run.
type term struct {
	client  *Client
	cfg     *Config
	metrics *metrics
	store   *store
	relay   jetstream.JetStream
	fed     jetstream.JetStream
	failed  chan error // one place
	wg      sync.WaitGroup
	puts    sync.WaitGroup    // calls of Put
	polling map[string]func() // by control plane, what ends it; owned by Run

	mu     sync.Mutex      // guards the following fields
	ctx    context.Context // nil: not begun, or ending
	ups    map[string]*upstream
	lost   map[string]string      // why there is no upstream
	in     map[string]*known      // open events, by name of the record
	out    map[string]answered    // answers, by name of the record
	prints map[string]int         // how often the same was posted, by control plane and print
	queues map[queueID]*queue     // of answers
	posted map[string]*postState  // by control plane
	polls  map[string]*pollResult // the same
}

// An answered is an answer that is known; at is when it was done, or zero.
type answered struct {
	at    time.Time
	print string // with the control plane
}

type pollResult struct {
	at  time.Time
	err string
}

// A known is an open event that was polled.
type known struct {
	rec    *record
	absent int // whole lists in a row without it
	since  time.Time
}

// begin reads what earlier runs have left.
func (c *Client) begin(ctx context.Context) (*term, error) {
	t := &term{
		client: c, cfg: &c.cfg, metrics: c.metrics, failed: make(chan error, 1), polling: map[string]func(){},
		ups: map[string]*upstream{}, lost: map[string]string{}, in: map[string]*known{}, out: map[string]answered{},
		prints: map[string]int{}, queues: map[queueID]*queue{}, posted: map[string]*postState{}, polls: map[string]*pollResult{},
	}
	var err error
	if t.store, err = openStore(ctx, c.cfg.Relay, c.cfg.Replicas); err != nil {
		return nil, err
	}
	t.relay = t.store.js
	if t.fed, err = jetstream.New(c.cfg.Fed, jetstream.WithDefaultTimeout(storeTime)); err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	c.metrics.waiting.Reset()
	all, err := t.store.all(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *record) int { return int(a.number) - int(b.number) }) //nolint:gosec // sequences
	for _, r := range all {
		t.adopt(r)
	}
	return t, nil
}

// adopt takes a record of the stream into memory.
func (t *term) adopt(r *record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.in:
		t.in[r.name()] = &known{rec: r}
	case r.state == stateDone:
		t.over(r, r.at)
	default:
		t.enqueue(r)
	}
}

// over notes that an answer is done. mu is held.
func (t *term) over(r *record, at time.Time) {
	a := answered{at, r.control + " " + r.print}
	t.out[r.name()] = a
	t.prints[a.print]++
}

// start lets the answers that are queued go.
func (t *term) start(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx = ctx
	for id, q := range t.queues {
		t.run(id, q)
	}
}

// stop ends the run: nothing is begun any more.
func (t *term) stop(cancel func()) {
	cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx = nil
}

// close lets go of connections.
func (t *term) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, up := range t.ups {
		up.close()
	}
}

// fail ends the run.
func (t *term) fail(err error) {
	select {
	case t.failed <- err:
	default:
	}
}

// polled returns the control planes of this stamp that are polled.
func (c *Client) polled() map[string]*topology.ControlPlane {
	view, out := c.cfg.View(), map[string]*topology.ControlPlane{}
	for _, cp := range view.ControlPlanes {
		if cp.Poll && cp.Stamp == view.Me.ID {
			out[cp.Name] = cp
		}
	}
	return out
}

// reconcile polls what the topology says, and nothing else.
func (t *term) reconcile(ctx context.Context) {
	want := t.client.polled()
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, stop := range t.polling {
		if cp, up := want[name], t.ups[name]; cp == nil || !up.same(cp) {
			stop()
			up.close() // what is under way closes itself after a while
			delete(t.polling, name)
			delete(t.ups, name)
		}
	}
	for name, cp := range want {
		if t.polling[name] != nil {
			continue
		}
		up, err := newUpstream(cp, t.cfg.Access[name], t.cfg.Timeout, t.cfg.Posts)
		if err != nil {
			if t.lost[name] != err.Error() {
				t.cfg.Log.Error("control plane not called, will try again", "control", name, "err", err)
			}
			t.lost[name] = err.Error()
			continue
		}
		delete(t.lost, name)
		ctx, cancel := context.WithCancel(ctx)
		t.ups[name], t.polling[name] = up, cancel
		t.wg.Go(func() { t.poll(ctx, up) })
	}
}

// upstream returns the way to a control plane; nil if there is none.
func (t *term) upstream(name string) *upstream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ups[name]
}

// list makes the states.
func (t *term) list() []State {
	var out []State
	for name := range t.client.polled() {
		out = append(out, t.stateOf(name))
	}
	slices.SortFunc(out, func(a, b State) int { return strings.Compare(a.Control, b.Control) })
	return out
}

func (t *term) stateOf(name string) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := State{Control: name, Err: t.lost[name]}
	if p := t.polls[name]; p != nil {
		s.Polled = p.at
		s.Err = or(s.Err, p.err)
	}
	for _, k := range t.in {
		if k.rec.control == name {
			s.Known++
		}
	}
	for id, q := range t.queues {
		if id.control != name {
			continue
		}
		s.Waiting += len(q.records)
		for _, r := range q.records {
			if s.Oldest.IsZero() || r.at.Before(s.Oldest) {
				s.Oldest = r.at
			}
		}
	}
	if p := t.posted[name]; p != nil {
		s.PostErr = p.err
	}
	return s
}

// jittered returns d, or up to half of it less.
func jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(rand.Int64N(int64(d/2)+1)) //nolint:gosec // no secret
}

// pause waits for d. It reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
