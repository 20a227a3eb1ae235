package tunnel

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

const (
	// group is the queue group of the replicas of a stamp: any one serves.
	group = "http"
	// grace is the default of ServerConfig.Grace.
	grace = 10 * time.Second
)

// ServerConfig is what a Server needs. Me, Fed and Log are required.
type ServerConfig struct {
	Me  topology.StampID
	Fed *nats.Conn // account FED
	// Only is the one stamp that is served; empty is every one.
	Only    topology.StampID
	Targets []Target
	Log     *slog.Logger
	Metrics prometheus.Registerer

	MaxOpen int // bounds the requests that are under way; 0 is 16,384
	// Grace is how long requests under way may take when Run is to end; 0 is
	// 10 s.
	Grace time.Duration
	// Heartbeat is that of clients; 0 is 1 s. One from which nothing came for
	// fifteen of them is gone.
	Heartbeat time.Duration
}

// A Server serves the targets of its stamp to others. Every replica runs one.
type Server struct {
	cfg    ServerConfig
	name   string // of this replica
	served *prometheus.CounterVec
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	targets map[string]*upstream
	number  uint64 // of the last exchange
	open    map[uint64]*job
	clients map[clientKey]time.Time // when each last pinged, while it has exchanges
}

type clientKey struct {
	stamp  topology.StampID
	client string
}

// A job is an exchange that this replica serves.
type job struct {
	*stream
	clientKey
}

// NewServer checks cfg and returns a Server that does nothing until Run.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Me == "" || cfg.Fed == nil || cfg.Log == nil {
		return nil, errors.New("tunnel server: incomplete configuration")
	}
	if cfg.MaxOpen <= 0 {
		cfg.MaxOpen = maxOpen
	}
	if cfg.Grace <= 0 {
		cfg.Grace = grace
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = heartbeat
	}
	s := emptyServer(cfg)
	if err := s.SetTargets(cfg.Targets); err != nil {
		return nil, err
	}
	s.served = newServed(cfg.Metrics)
	return s, nil
}

func emptyServer(cfg ServerConfig) *Server {
	return &Server{
		cfg: cfg, name: strings.ToLower(rand.Text()), targets: map[string]*upstream{},
		open: map[uint64]*job{}, clients: map[clientKey]time.Time{},
		// A number of an earlier life means nothing in this one.
		number: mrand.Uint64() >> 2, //nolint:gosec // not a secret
	}
}

// Beside returns a Server like s without targets on another connection, for
// requests of one stamp only. It is run by itself, and counts with s.
func (s *Server) Beside(fed *nats.Conn, only topology.StampID) *Server {
	cfg := s.cfg
	cfg.Fed, cfg.Only, cfg.Targets = fed, only, nil
	b := emptyServer(cfg)
	b.served = s.served
	return b
}

// SetTargets serves other targets from now on, and reads the files of those that
// stay again. Requests under way are not disturbed. A target that has a file
// missing or wrong answers that; it is in the error, too. With any other error
// nothing changes.
func (s *Server) SetTargets(targets []Target) error {
	next := map[string]*upstream{}
	var bad []error
	for _, t := range targets {
		t, err := checked(t)
		if err != nil {
			return err
		}
		if next[t.Name] != nil {
			return fmt.Errorf("target %s is there twice", t.Name)
		}
		u := s.target(t.Name)
		if u == nil || !u.same(t) {
			if u, err = newUpstream(t); err != nil {
				u = &upstream{Target: t, err: err}
				bad = append(bad, err)
			}
		}
		next[t.Name] = u
	}
	s.mu.Lock()
	old := s.targets
	s.targets = next
	s.mu.Unlock()
	for name, u := range old {
		if next[name] != u {
			u.close()
		}
	}
	return errors.Join(bad...)
}

// target returns what is served under a name, or nil.
func (s *Server) target(name string) *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.targets[name]
}

// Run serves until ctx is cancelled, then takes no more requests and gives
// those under way some time.
func (s *Server) Run(ctx context.Context, ready func()) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	at, err := s.cfg.Fed.Subscribe(bridge.HTTPAtReplica(s.cfg.Me, s.name), s.received)
	if err != nil {
		return fmt.Errorf("subscribe the tunnel: %w", err)
	}
	defer func() { _ = at.Unsubscribe() }() // the connection may be closed already
	// Credit bounds what may come, an exchange at a time.
	if err = at.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("subscribe the tunnel: %w", err)
	}
	from := bridge.HTTPAsksFor(s.cfg.Me)
	if s.cfg.Only != "" {
		from = bridge.HTTPAsk(s.cfg.Me, s.cfg.Only, "*")
	}
	asks, err := s.cfg.Fed.QueueSubscribe(from, group, func(m *nats.Msg) { s.asked(work, m) })
	if err != nil {
		return fmt.Errorf("subscribe requests of the tunnel: %w", err)
	}
	drained := make(chan struct{})
	asks.SetClosedHandler(func(string) { close(drained) })
	var sweeper sync.WaitGroup
	sweeper.Go(func() { s.sweepUntil(work) })
	defer sweeper.Wait()
	defer cancel()
	ready()
	<-ctx.Done()
	s.stop(asks, drained)
	return nil
}

// sweepUntil looks for clients that are gone until ctx is cancelled.
func (s *Server) sweepUntil(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.sweep(now)
		}
	}
}

// stop takes what has arrived, waits for it, and ends what takes too long.
func (s *Server) stop(asks *nats.Subscription, drained chan struct{}) {
	end := time.Now().Add(s.cfg.Grace)
	over := time.NewTimer(s.cfg.Grace)
	defer over.Stop()
	if asks.Drain() == nil && s.cfg.Fed.IsConnected() {
		select {
		case <-drained:
		case <-over.C:
		}
	}
	late := time.AfterFunc(time.Until(end), func() {
		for _, j := range s.jobs() {
			j.fail(fault(s.cfg.Me, ReasonStopping, "the replica that had the request is stopping"))
		}
	})
	defer late.Stop()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.targets {
		u.close()
	}
}

// jobs returns the exchanges under way.
func (s *Server) jobs() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*job
	for _, j := range s.open {
		out = append(out, j)
	}
	return out
}

// asked takes a request. Where answers go follows from who asked: a reply
// subject that the asker chose could lead anywhere.
func (s *Server) asked(ctx context.Context, m *nats.Msg) {
	_, from, rest, ok := bridge.Address(m.Subject)
	f, ok2 := parseFrame(m.Data)
	if !ok || !ok2 || f.kind != frameAsk {
		return
	}
	meta, header, body, ok := parseHead(f.body)
	client := meta.get(metaClient)
	if !ok || !token(client) {
		return
	}
	j := &job{newStream(s.cfg.Fed, s.cfg.Me, from), clientKey{from, client}}
	j.start(bridge.HTTPReply(from, s.cfg.Me, client, "x"), f.id, min(meta.int(metaWindow, window), 64<<20))
	name := strings.TrimPrefix(rest, "ask.")
	s.wg.Go(func() { s.serve(ctx, j, name, meta, header, body) })
}

// enter notes an exchange and returns its number.
func (s *Server) enter(j *job) (uint64, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= s.cfg.MaxOpen {
		return 0, fault(s.cfg.Me, ReasonBusy, "%d requests are under way", len(s.open)).before()
	}
	s.number++
	s.open[s.number] = j
	s.clients[j.clientKey] = time.Now()
	return s.number, nil
}

// leave drops an exchange that is over.
func (s *Server) leave(id uint64) {
	s.mu.Lock()
	delete(s.open, id)
	s.mu.Unlock()
}

// received takes a frame from a client.
func (s *Server) received(m *nats.Msg) {
	_, from, _, ok := bridge.Address(m.Subject)
	f, ok2 := parseFrame(m.Data)
	if !ok || !ok2 {
		return
	}
	if f.kind == framePing {
		s.pinged(from, f.body)
		return
	}
	s.mu.Lock()
	j := s.open[f.id]
	s.mu.Unlock()
	if j != nil && j.stamp == from {
		j.deliver(f)
	}
}

// pinged compares what a client has sent with what has come, and answers with
// the same.
func (s *Server) pinged(from topology.StampID, b []byte) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return
	}
	client, list := string(b[1:1+b[0]]), b[1+b[0]:]
	if !token(client) {
		return
	}
	key := clientKey{from, client}
	pong := appendFrame(make([]byte, 0, frameLen+len(list)), framePong, 0, 0)
	s.mu.Lock()
	if _, ok := s.clients[key]; ok {
		s.clients[key] = time.Now()
	}
	s.mu.Unlock()
	for ; len(list) >= pingEntry; list = list[pingEntry:] {
		s.mu.Lock()
		j := s.open[binary.BigEndian.Uint64(list)]
		s.mu.Unlock()
		sent := gone
		if j != nil && j.clientKey == key {
			j.compare(binary.BigEndian.Uint32(list[16:]))
			_, sent = j.progress()
		}
		pong = append(pong, list[8:16]...)
		pong = binary.BigEndian.AppendUint32(pong, sent)
	}
	if err := s.cfg.Fed.Publish(bridge.HTTPReply(from, s.cfg.Me, client, "pong."+s.name), pong); err != nil {
		s.cfg.Log.Debug("client not answered", "peer", from, "err", err)
	}
}

// sweep ends the exchanges of clients that are gone, and forgets clients
// without any.
func (s *Server) sweep(now time.Time) {
	busy := map[clientKey]bool{}
	for _, j := range s.jobs() {
		busy[j.clientKey] = true
		s.mu.Lock()
		at := s.clients[j.clientKey]
		s.mu.Unlock()
		if now.Sub(at) > patience*3/2*s.cfg.Heartbeat {
			j.fail(fault(s.cfg.Me, ReasonLost, "the gateway of stamp %s that asked is lost", j.stamp))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.clients {
		if !busy[key] && now.Sub(s.clients[key]) > patience*s.cfg.Heartbeat {
			delete(s.clients, key)
		}
	}
}
