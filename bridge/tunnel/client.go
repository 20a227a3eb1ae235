package tunnel

import (
	"context"
	"crypto/rand"
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

const (
	// heartbeat is the default of ClientConfig.Heartbeat.
	heartbeat = time.Second
	// answerTime is the default of ClientConfig.AnswerTime.
	answerTime = 3 * time.Second
	// maxOpen is the default of MaxOpen, on both sides.
	maxOpen = 16384
)

// ClientConfig is what a Client needs. Me, Fed and Log are required.
type ClientConfig struct {
	Me      topology.StampID
	Fed     *nats.Conn // account FED
	Log     *slog.Logger
	Metrics prometheus.Registerer

	// Reachable says whether anything of a stamp answers, so that an error can
	// tell a stamp without replicas from one without a route. It is asked when
	// nobody took a request, which waits for it. May be nil.
	Reachable func(topology.StampID) bool
	// MaxOpen bounds the requests that are under way; 0 is 16,384.
	MaxOpen int
	// AnswerTime is how long replicas have to take a request; 0 is 3 s.
	AnswerTime time.Duration
	// Heartbeat is how often replicas are asked whether they live; 0 is 1 s. One
	// that says nothing ten times is gone; one that NATS knows to be gone is so at
	// the next.
	Heartbeat time.Duration
}

// A Client asks targets of other stamps, or of its own. Its methods are safe
// for concurrent use.
type Client struct {
	cfg     ClientConfig
	name    string // of this process, for answers to find it
	metrics *clientMetrics

	mu      sync.Mutex // guards the fields below
	running bool
	number  uint64           // of the last exchange
	open    map[uint64]*call // exchanges by their number
	peers   map[peerKey]*peer
	beside  *Client // counted with this one; nil: none
}

// A call is an exchange that this client began.
type call struct {
	*stream
	number uint64
	to     topology.StampID
	peer   *peer     // who has it; nil until one has said so
	listed time.Time // when it was last compared with the replica; guarded by Client.mu
}

// NewClient checks cfg and returns a Client that refuses everything until Run.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Me == "" || cfg.Fed == nil || cfg.Log == nil {
		return nil, errors.New("tunnel client: incomplete configuration")
	}
	if cfg.MaxOpen <= 0 {
		cfg.MaxOpen = maxOpen
	}
	if cfg.AnswerTime <= 0 {
		cfg.AnswerTime = answerTime
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = heartbeat
	}
	c := &Client{
		cfg: cfg, name: strings.ToLower(rand.Text()),
		open: map[uint64]*call{}, peers: map[peerKey]*peer{},
	}
	c.metrics = newClientMetrics(cfg.Metrics, c.count)
	return c, nil
}

// Beside returns a Client like c on another connection, which is run by itself.
// Its requests are counted with those of c.
func (c *Client) Beside(fed *nats.Conn) *Client {
	b := &Client{
		cfg: c.cfg, name: strings.ToLower(rand.Text()), metrics: c.metrics,
		open: map[uint64]*call{}, peers: map[peerKey]*peer{},
	}
	b.cfg.Fed = fed
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beside = b
	return b
}

// Run carries requests until ctx is cancelled, and ends those under way then.
// It may be called again after it has returned.
func (c *Client) Run(ctx context.Context, ready func()) error {
	sub, err := c.cfg.Fed.Subscribe(bridge.HTTPRepliesFor(c.cfg.Me, c.name), c.received)
	if err != nil {
		return fmt.Errorf("subscribe answers of the tunnel: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	// Credit bounds what may come, an exchange at a time.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("subscribe answers of the tunnel: %w", err)
	}
	c.turn(true)
	defer c.turn(false)
	ready()
	tick := time.NewTicker(c.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			c.beat(now)
		}
	}
}

// turn lets requests in, or ends them all.
func (c *Client) turn(on bool) {
	c.mu.Lock()
	c.running = on
	var all []*call
	for _, x := range c.open {
		all = append(all, x)
	}
	c.mu.Unlock()
	if !on {
		for _, x := range all {
			x.fail(fault(c.cfg.Me, ReasonStopping, "it is stopping"))
		}
	}
}

// count returns how many exchanges are open.
func (c *Client) count() int {
	c.mu.Lock()
	n, b := len(c.open), c.beside
	c.mu.Unlock()
	if b != nil {
		n += b.count()
	}
	return n
}

// begin makes an exchange with stamp to.
func (c *Client) begin(to topology.StampID) (*call, *Error) {
	if !c.cfg.Fed.IsConnected() { // what is published now would be sent at some later time
		return nil, fault(c.cfg.Me, ReasonNoRoute, "not connected to its own NATS").before()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.running:
		return nil, fault(c.cfg.Me, ReasonStopping, "it is stopping, or has not begun").before()
	case len(c.open) >= c.cfg.MaxOpen:
		return nil, fault(c.cfg.Me, ReasonBusy, "%d requests are under way", len(c.open)).before()
	}
	c.number++
	x := &call{stream: newStream(c.cfg.Fed, c.cfg.Me, to), number: c.number, to: to, listed: time.Now()}
	x.open(window)
	c.open[x.number] = x
	return x, nil
}

// forget drops an exchange that is over.
func (c *Client) forget(x *call) {
	c.mu.Lock()
	delete(c.open, x.number)
	c.mu.Unlock()
}

// received takes a frame from a replica, or what our NATS says when there is
// none.
func (c *Client) received(m *nats.Msg) {
	_, from, rest, ok := bridge.Address(m.Subject)
	if !ok {
		return
	}
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		about, id, _ := strings.Cut(strings.TrimPrefix(rest, "re."+c.name+"."), ".")
		c.nobody(from, about, id)
		return
	}
	f, ok := parseFrame(m.Data)
	if !ok {
		return
	}
	if f.kind == framePong {
		c.pong(from, strings.TrimPrefix(rest, "re."+c.name+".pong."), f.body)
		return
	}
	c.mu.Lock()
	x := c.open[f.id]
	if x != nil && x.to != from {
		x = nil // only whoever was asked may answer
	}
	if f.kind == frameAccept {
		c.taken(x, from, f)
	}
	if x != nil && x.peer != nil {
		x.peer.heard = time.Now()
	}
	c.mu.Unlock()
	if x != nil {
		x.deliver(f)
	}
}

// taken notes which replica has an exchange. One that nobody here knows any
// more is called off. The caller holds mu.
func (c *Client) taken(x *call, from topology.StampID, f frame) {
	meta, _, ok := parseFields(f.body)
	replica, id := meta.get(metaReplica), uint64(meta.int(metaID, 0)) //nolint:gosec // at least 0
	if !ok || !token(replica) {
		return
	}
	subject := bridge.HTTPAt(from, c.cfg.Me, replica)
	if x == nil {
		gone := newStream(c.cfg.Fed, c.cfg.Me, from)
		gone.start(subject, id, 0)
		gone.fail(fault(c.cfg.Me, ReasonCancelled, "nobody waits for this any more"))
		return
	}
	if x.peer != nil {
		return
	}
	key := peerKey{from, replica}
	if x.peer = c.peers[key]; x.peer == nil {
		x.peer = &peer{peerKey: key, subject: subject, heard: time.Now()}
		c.peers[key] = x.peer
	}
	x.start(subject, id, meta.int(metaWindow, 0))
}

// nobody takes our NATS's word that there was no subscriber.
func (c *Client) nobody(to topology.StampID, about, id string) {
	if about == "pong" {
		c.lose(peerKey{to, id}, "it is gone")
		return
	}
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	x := c.open[n]
	c.mu.Unlock()
	if x == nil || x.to != to {
		return
	}
	x.fail(fault(c.cfg.Me, ReasonNoRoute, "nobody in stamp %s hears", to).before())
}

// noReplica says why nobody took a request. It may take some time.
func (c *Client) noReplica(to topology.StampID) *Error {
	if c.cfg.Reachable != nil && c.cfg.Reachable(to) {
		return fault(c.cfg.Me, ReasonNoReplica, "stamp %s is there, but no replica of it serves HTTP", to).before()
	}
	return fault(c.cfg.Me, ReasonNoRoute, "no route to stamp %s: the link is down, or nobody serves there", to).before()
}

// maxToken bounds the names of targets: those that a control plane implies hold
// its name and that of a service.
const maxToken = 127

// token reports whether s can be one part of a subject.
func token(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}
