package outbox_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// A gatekeeper is another store: what it has met may go on.
type gatekeeper struct {
	changed chan struct{}

	mu    sync.Mutex // guards the fields below
	heard []bridge.Key
	met   map[bridge.Key]bool
	news  []bridge.Key
}

func (g *gatekeeper) Heard(key bridge.Key, _ time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heard = append(g.heard, key)
}

func (g *gatekeeper) May(key bridge.Key, _ time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.met[key]
}

func (g *gatekeeper) Passed() []bridge.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.news
	g.news = nil
	return out
}

func (g *gatekeeper) Changed() <-chan struct{} { return g.changed }

func (g *gatekeeper) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.heard)
}

// meet lets events go on, in this order.
func (g *gatekeeper) meet(ids ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		key := bridge.KeyOf(id, "sh.keptn.event.t.triggered", "sh.keptn.event.t.triggered")
		g.met[key] = true
		g.news = append(g.news, key)
	}
	g.changed <- struct{}{}
}

// TestOrderOfAnotherStore: a replica heard what another one did not, and stores
// it late, behind what was published after it.
func TestOrderOfAnotherStore(t *testing.T) {
	s := newStopped(t)
	g := &gatekeeper{changed: make(chan struct{}, 1), met: map[bridge.Key]bool{}}
	s.order = g
	s.start()
	b := s.receiver("b")
	var want []string
	for _, id := range []string{"1", "4", "3", "2", "5"} { // as RW_OUT has them
		s.publish(event(id, "one", "k"))
	}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		want = append(want, string(event(id, "one", "k")))
	}
	require.Eventually(t, func() bool { return g.count() == 5 }, 10*time.Second, time.Millisecond)
	g.meet("1")
	require.Equal(t, want[:1], s.bodies(b, 1))
	g.meet("2", "3")
	g.meet("4", "5")
	require.Equal(t, want, s.bodies(b, 5))
	s.settled()
}
