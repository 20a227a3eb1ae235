package federation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// A Stamp is the gateways of one stamp in a Federation. They can be stopped and
// started again, all or one by one.
type Stamp struct {
	*topology.Stamp

	f        *Federation
	replicas []*Replica
}

func newStamp(f *Federation, s *topology.Stamp, reach map[topology.StampID]topology.Advertise) (*Stamp, error) {
	st := &Stamp{Stamp: s, f: f}
	var p peers
	if s.Replicas > 1 {
		var err error
		if p, err = f.newPeers(s.Replicas); err != nil {
			return nil, err
		}
	}
	for i := range max(s.Replicas, 1) {
		r, err := newReplica(st, i, p, reach)
		if err != nil {
			return nil, err
		}
		st.replicas = append(st.replicas, r)
	}
	return st, nil
}

// Start runs the stamp's gateways and returns when they are ready and, if there
// are several, one of them is active.
func (s *Stamp) Start(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(s.replicas))
	for i, r := range s.replicas {
		wg.Go(func() { errs[i] = r.Start(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || len(s.replicas) == 1 {
		return err
	}
	for s.Active() == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stamp %s: no replica is active: %w", s.ID, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// Stop ends the stamp's gateways in order. A stopped stamp stays stopped.
func (s *Stamp) Stop() error {
	var wg sync.WaitGroup
	errs := make([]error, len(s.replicas))
	for i, r := range s.replicas {
		wg.Go(func() { errs[i] = r.Stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Gateway returns the running gateway, or the first of several, or nil.
func (s *Stamp) Gateway() *gateway.Gateway {
	for _, r := range s.replicas {
		if g := r.Gateway(); g != nil {
			return g
		}
	}
	return nil
}

// Replica returns the i-th of the stamp's replicas, from 0.
func (s *Stamp) Replica(i int) *Replica { return s.replicas[i] }

// Active returns the replica that moves events, or nil if none does now. The
// only one of a stamp does whenever it runs.
func (s *Stamp) Active() *Replica {
	for _, r := range s.replicas {
		g := r.Gateway()
		if g == nil {
			continue
		}
		if st := g.Status(); st.Replica == nil || st.Replica.Active && st.Parts["inbox"] == "ok" && st.Parts["outbox"] == "ok" {
			return r
		}
	}
	return nil
}

// URL returns where the stamp's clients find NATS: the addresses of all
// replicas, with commas between them.
func (s *Stamp) URL() string {
	urls := make([]string, 0, len(s.replicas))
	for _, r := range s.replicas {
		urls = append(urls, r.URL())
	}
	return strings.Join(urls, ",")
}

// RESTURL returns where the stamp's clients find HTTP: at the first replica that
// runs.
func (s *Stamp) RESTURL() string {
	if g := s.Gateway(); g != nil {
		return g.RESTURL()
	}
	return s.replicas[0].RESTURL()
}

// forward leads the relays to where a hub listens now: at the first replica
// that runs.
func (s *Stamp) forward() error {
	g := s.Gateway()
	if s.Link.Kind != topology.LinkHub || g == nil {
		return nil
	}
	at := g.LinkAddrs()
	var errs []error
	for facet, addr := range map[string]string{FacetGateway: at.Gateway, FacetLeafnode: at.Leafnode, FacetWebSocket: at.WebSocket} {
		errs = append(errs, s.f.cfg.Board.Forward(string(s.ID), facet, addr))
	}
	return errors.Join(errs...)
}
