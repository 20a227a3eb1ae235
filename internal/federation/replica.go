package federation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// A Replica is one gateway of a stamp. It can be stopped and started again.
type Replica struct {
	s    *Stamp
	opts gateway.Options

	mu   sync.Mutex // guards the following fields
	g    *gateway.Gateway
	stop context.CancelFunc
	done chan error
}

// peers are where the replicas of a stamp listen for each other.
type peers struct{ local, link []string }

// newPeers finds n free addresses of each kind. Their ports lie below those that
// systems hand out by themselves, and their UDP twins are held until the
// Federation is closed, as a sign to others who look for ports in this way.
func (f *Federation) newPeers(n int) (peers, error) {
	var p peers
	for range n {
		local, err := f.freeAddr()
		if err != nil {
			return p, err
		}
		link, err := f.freeAddr()
		if err != nil {
			return p, err
		}
		p.local, p.link = append(p.local, local), append(p.link, link)
	}
	return p, nil
}

func (f *Federation) freeAddr() (string, error) {
	const first, last = 10_000, 32_000
	var err error
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first))) //nolint:gosec // a port, not a secret
		var sign net.PacketConn
		if sign, err = net.ListenPacket("udp", addr); err != nil {
			continue
		}
		var tcp net.Listener
		if tcp, err = net.Listen("tcp", addr); err != nil {
			_ = sign.Close() // nothing came in
			continue
		}
		f.signs = append(f.signs, sign)
		return addr, tcp.Close()
	}
	return "", fmt.Errorf("find address: %w", err)
}

func newReplica(s *Stamp, i int, p peers, reach map[topology.StampID]topology.Advertise) (*Replica, error) {
	f := s.f
	// Kept over restarts, so it is none that a system hands out meanwhile.
	clients, err := f.freeAddr()
	if err != nil {
		return nil, err
	}
	rest, err := f.freeAddr() // the same
	if err != nil {
		return nil, err
	}
	o := gateway.DefaultOptions()
	o.Stamp = s.ID
	o.Topology = f.file
	o.Identity = identityDir(f.cfg.Dir, s.ID)
	o.Data = filepath.Join(f.cfg.Dir, "data", string(s.ID))
	o.Listen = gateway.Listen{
		Clients: clients, Admin: "127.0.0.1:0", Monitoring: "off", REST: rest,
		Gateway: "127.0.0.1:0", Leafnode: "127.0.0.1:0", WebSocket: "127.0.0.1:0",
	}
	if len(p.local) > 0 {
		o.Data = filepath.Join(o.Data, strconv.Itoa(i))
		o.Listen.Routes, o.Listen.LinkRoutes = p.local[i], p.link[i]
		o.Replica = gateway.Replica{Name: strconv.Itoa(i), Peers: p.local, LinkPeers: p.link}
	}
	o.Reach = reach
	if f.cfg.Options != nil {
		f.cfg.Options(&o)
	}
	return &Replica{s: s, opts: o}, nil
}

// Start runs the gateway and returns when it is ready.
func (r *Replica) Start(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return fmt.Errorf("stamp %s: %w", r.s.ID, err)
	}
	return r.s.forward()
}

func (r *Replica) start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, err := gateway.New(r.opts, r.s.f.cfg.Log.With("stamp", r.s.ID))
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan struct{}), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- g.Run(run, func() { close(ready) }) }) // Stop waits for it through done
	select {
	case <-ready:
		r.g, r.stop, r.done = g, stop, done
		// The next start listens where this one did, for clients come back.
		r.opts.Listen.Clients = g.ClientAddr()
		return nil
	case err := <-done:
		stop()
		return err
	case <-ctx.Done():
		stop()
		return errors.Join(ctx.Err(), <-done)
	}
}

// Stop ends the gateway in order. A stopped replica stays stopped.
func (r *Replica) Stop() error {
	r.mu.Lock()
	g, stop, done := r.g, r.stop, r.done
	r.g = nil
	r.mu.Unlock()
	if g == nil {
		return nil
	}
	err := r.s.forward() // those who dial a hub find another replica
	stop()
	if err := errors.Join(err, <-done); err != nil {
		return fmt.Errorf("stamp %s: %w", r.s.ID, err)
	}
	return nil
}

// Gateway returns the running gateway, or nil.
func (r *Replica) Gateway() *gateway.Gateway {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.g
}

// RESTURL returns where clients find the replica's HTTP, also while it is
// stopped; empty if that is off.
func (r *Replica) RESTURL() string {
	if g := r.Gateway(); g != nil {
		return g.RESTURL()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.opts.Listen.REST; at != "off" && at != "" {
		return "http://" + at
	}
	return ""
}

// URL returns where clients find the replica's NATS.
func (r *Replica) URL() string {
	if g := r.Gateway(); g != nil {
		return g.ClientURL()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return "nats://" + r.opts.Listen.Clients
}
