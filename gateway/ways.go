package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge/canary"
	"github.com/ringway/ringway/topology"
)

// wayTime is how long a canary may take that is sent while somebody waits, and
// how long what it said holds: many may ask while a stamp is gone.
const wayTime = time.Second

// ways is what a replica that stands by knows of the ways to other stamps: what
// it asked when it had to know. The zero value is ready for use.
type ways struct {
	mu sync.Mutex // guards the following field
	to map[topology.StampID]*passage
}

// A passage is what is known of the way to one stamp.
type passage struct {
	mu   sync.Mutex // held while a canary is under way
	at   time.Time
	open bool
}

// heard reports whether a canary to a stamp was answered within the last second,
// and sends one if none was sent.
func (w *ways) heard(nc *nats.Conn, me, to topology.StampID) bool {
	s := w.passage(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < wayTime {
		return s.open
	}
	ctx, cancel := context.WithTimeout(context.Background(), wayTime)
	defer cancel()
	s.open = canary.Once(ctx, nc, me, to) == nil
	s.at = time.Now()
	return s.open
}

func (w *ways) passage(to topology.StampID) *passage {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		w.to = map[topology.StampID]*passage{}
	}
	if w.to[to] == nil {
		w.to[to] = new(passage)
	}
	return w.to[to]
}
