package federation

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// A Stamp is one gateway of a Federation. It can be stopped and started again.
type Stamp struct {
	*topology.Stamp

	f    *Federation
	opts gateway.Options

	mu   sync.Mutex // guards the following fields
	g    *gateway.Gateway
	stop context.CancelFunc
	done chan error
}

func newStamp(f *Federation, s *topology.Stamp, reach map[topology.StampID]topology.Advertise) *Stamp {
	o := gateway.DefaultOptions()
	o.Stamp = s.ID
	o.Topology = f.file
	o.Identity = identityDir(f.cfg.Dir, s.ID)
	o.Data = filepath.Join(f.cfg.Dir, "data", string(s.ID))
	o.Listen = gateway.Listen{
		Clients: "127.0.0.1:0", Admin: "127.0.0.1:0", Monitoring: "off",
		Gateway: "127.0.0.1:0", Leafnode: "127.0.0.1:0", WebSocket: "127.0.0.1:0",
	}
	o.Reach = reach
	if f.cfg.Options != nil {
		f.cfg.Options(&o)
	}
	return &Stamp{Stamp: s, f: f, opts: o}
}

// Start runs the stamp's gateway and returns when it is ready.
func (s *Stamp) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := gateway.New(s.opts, s.f.cfg.Log.With("stamp", s.ID))
	if err != nil {
		return fmt.Errorf("stamp %s: %w", s.ID, err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan struct{}), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- g.Run(run, func() { close(ready) }) }) // Stop waits for it through done
	select {
	case <-ready:
		s.g, s.stop, s.done = g, stop, done
		// The next start listens where this one did, for clients come back.
		s.opts.Listen.Clients = g.ClientAddr()
		return s.forward()
	case err := <-done:
		stop()
		return fmt.Errorf("stamp %s: %w", s.ID, err)
	case <-ctx.Done():
		stop()
		return fmt.Errorf("stamp %s: %w", s.ID, errors.Join(ctx.Err(), <-done))
	}
}

// forward leads the relays to where a hub listens now.
func (s *Stamp) forward() error {
	if s.Link.Kind != topology.LinkHub {
		return nil
	}
	at := s.g.LinkAddrs()
	var errs []error
	for facet, addr := range map[string]string{FacetGateway: at.Gateway, FacetLeafnode: at.Leafnode, FacetWebSocket: at.WebSocket} {
		errs = append(errs, s.f.cfg.Board.Forward(string(s.ID), facet, addr))
	}
	return errors.Join(errs...)
}

// Stop ends the stamp's gateway in order. A stopped stamp stays stopped.
func (s *Stamp) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.g == nil {
		return nil
	}
	s.stop()
	err := <-s.done
	s.g = nil
	if err != nil {
		return fmt.Errorf("stamp %s: %w", s.ID, err)
	}
	return nil
}

// Gateway returns the running gateway, or nil.
func (s *Stamp) Gateway() *gateway.Gateway {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.g
}

// URL returns where the stamp's clients find NATS.
func (s *Stamp) URL() string {
	if g := s.Gateway(); g != nil {
		return g.ClientURL()
	}
	return "nats://" + s.opts.Listen.Clients
}
