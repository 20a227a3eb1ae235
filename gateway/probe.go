package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A Crossing is how far an event gets that a client of this stamp publishes.
type Crossing struct {
	Stamp topology.StampID `json:"stamp"`
	Peers []PeerCrossing   `json:"peers"` // those that this stamp exchanges events with
}

// A PeerCrossing is whether events get to a stamp, now.
type PeerCrossing struct {
	Stamp  topology.StampID `json:"stamp"`
	RTT    float64          `json:"rtt,omitempty"`    // there and back, in seconds
	Err    string           `json:"err,omitempty"`    // why not; empty if they do
	Causes []Cause          `json:"causes,omitempty"` // what is known to be wrong on the way
}

// How long an event of a client is waited for, and how long a stamp.
const (
	probeStored = 8 * time.Second
	probePeer   = 5 * time.Second
)

// maxProbing bounds the canaries that are under way at a time.
const maxProbing = 32

// errNotCrossed reports a canary event of a client that did not come.
var errNotCrossed = errors.New("the event has not come through the store of this gateway: it was published elsewhere, NATS does not keep what is published (ringway doctor, RW-306), or another replica is active")

// Cross waits until the canary event with this id, which a client of the stamp
// published, was stored and read again for its way, and then asks every stamp
// that this one exchanges events with, on the way of events. It fails where the
// event does not come.
func (g *Gateway) Cross(ctx context.Context, id string) (Crossing, error) {
	p := g.bridge.Load()
	if p == nil {
		return Crossing{}, errNotActive
	}
	stored, cancel := context.WithTimeout(ctx, probeStored)
	defer cancel()
	if !g.probes.wait(stored, id) {
		return Crossing{}, fmt.Errorf("gateway of %s: %w", g.opts.Stamp, errNotCrossed)
	}
	peers := g.force.Load().view.Peers()
	out := Crossing{Stamp: g.opts.Stamp, Peers: make([]PeerCrossing, len(peers))}
	var wg sync.WaitGroup
	room := make(chan struct{}, maxProbing)
	for i, to := range peers {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			limit, cancel := context.WithTimeout(ctx, probePeer)
			defer cancel()
			began := time.Now()
			c := PeerCrossing{Stamp: to}
			if err := p.asker.Ask(limit, to); err != nil {
				c.Err = err.Error()
			} else {
				c.RTT = time.Since(began).Seconds()
			}
			out.Peers[i] = c
		})
	}
	wg.Wait()
	g.explain(ctx, out.Peers)
	return out, nil
}

// explain adds what is known of the way to peers that do not answer.
func (g *Gateway) explain(ctx context.Context, peers []PeerCrossing) {
	known := map[topology.StampID][]Cause{}
	for _, c := range peers {
		if c.Err != "" {
			for _, s := range g.Federation(ctx).Stamps {
				known[s.Stamp] = s.Causes
			}
			break
		}
	}
	for i := range peers {
		if peers[i].Err != "" {
			peers[i].Causes = known[peers[i].Stamp]
		}
	}
}

// maxProbes bounds the canary events that are remembered.
const maxProbes = 1024

// probes are the canary events of clients that were stored. It is a bridge.Sink;
// the zero value is ready for use.
type probes struct {
	mu    sync.Mutex // guards the following fields
	seen  map[string]bool
	order []string      // oldest first
	more  chan struct{} // closed when there is another one
}

// Wants is that of a bridge.Sink.
func (*probes) Wants(subject string) bool { return subject == bridge.CanaryEvent }

// Put is that of a bridge.Sink.
func (p *probes) Put(_ context.Context, events []bridge.Passing) error {
	for _, passing := range events {
		if e, err := bridge.Parse(passing.Subject, passing.Body); err == nil && passing.Local {
			p.add(e.ID)
		}
	}
	return nil
}

func (p *probes) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	if p.seen[id] {
		return
	}
	p.seen[id] = true
	p.order = append(p.order, id)
	if len(p.order) > maxProbes {
		delete(p.seen, p.order[0])
		p.order = p.order[1:]
	}
	if p.more != nil {
		close(p.more)
		p.more = nil
	}
}

// wait waits for a canary event until ctx ends.
func (p *probes) wait(ctx context.Context, id string) bool {
	for {
		p.mu.Lock()
		seen := p.seen[id]
		if p.more == nil {
			p.more = make(chan struct{})
		}
		more := p.more
		p.mu.Unlock()
		if seen {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-more:
		}
	}
}
