package load_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/federation"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// A size is how many stamps of each kind a federation has.
type size struct{ hubs, leaves int }

// last is a leaf if there is any.
func (s size) last() topology.StampID {
	return topology.StampID(fmt.Sprintf("s%d", s.hubs+s.leaves-1))
}

// yaml is a topology of that size: the control plane is in the first hub, every
// other stamp has a stage of its own, and leaf i dials hubs i and i+1.
func (s size) yaml() []byte {
	var b, stages strings.Builder
	b.WriteString("apiVersion: ringway/v1\nkind: Topology\nname: load\ngeos: [eu]\nrings: [dev]\nstamps:\n")
	for i := range s.hubs + s.leaves {
		name := fmt.Sprintf("s%d", i)
		switch {
		case i < s.hubs:
			role := "trusted: true"
			if i == 0 {
				role = "roles: [control]"
			}
			fmt.Fprintf(&b, "  - {name: %s, geo: eu, ring: dev, %s, link: {kind: hub, advertise: "+
				"{gateway: \"%s.example:7222\", leafnode: \"%s.example:7422\"}}}\n", name, role, name, name)
		default:
			fmt.Fprintf(&b, "  - {name: %s, geo: eu, ring: dev, link: {via: [s%d, s%d]}}\n", name, i%s.hubs, (i+1)%s.hubs)
		}
		if i > 0 { // nobody answers, and nobody is to answer in their name
			fmt.Fprintf(&stages, "  - {name: %s, ring: dev, stamps: [%s], startWithin: 1h}\n", name, name)
		}
	}
	b.WriteString("controlPlanes: [{name: keptn, stamp: s0}]\nstages:\n")
	return []byte(b.String() + stages.String())
}

// A world is a federation without anything between its stamps.
type world struct {
	*federation.Federation

	t       testing.TB
	watched map[topology.StampID]bool // whose messages are counted

	mu    sync.Mutex
	addrs map[[2]string]string // by stamp and facet
}

// newWorld writes the files of a federation and starts nothing.
func newWorld(t testing.TB, s size) *world {
	t.Helper()
	w := &world{t: t, addrs: map[[2]string]string{}, watched: map[topology.StampID]bool{"s0": true, "s1": true, s.last(): true}}
	var err error
	w.Federation, err = federation.New(federation.Config{
		Topology: s.yaml(), Dir: t.TempDir(), Board: w, Options: w.options, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// Addr returns the same address for all who dial: see federation.Board.
func (w *world) Addr(_, to, facet string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := [2]string{to, facet}
	if w.addrs[k] == "" {
		w.addrs[k] = natstest.Addr(w.t)
	}
	return w.addrs[k], nil
}

// Forward has nothing to do: see federation.Board.
func (w *world) Forward(_, _, _ string) error { return nil }

func (w *world) options(o *gateway.Options) {
	for facet, at := range map[string]*string{federation.FacetGateway: &o.Listen.Gateway, federation.FacetLeafnode: &o.Listen.Leafnode} {
		*at, _ = w.Addr("", string(o.Stamp), facet) // never fails
	}
	if w.watched[o.Stamp] {
		o.Listen.Monitoring, _ = w.Addr("", string(o.Stamp), "monitoring") // never fails
	}
}

// run starts the stamps, a few at a time: all at once are more than a busy
// machine starts within the time that each may take.
func (w *world) run() {
	w.t.Helper()
	const atOnce = 4
	turns := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	errs := make([]error, len(w.Stamps()))
	for i, s := range w.Stamps() {
		turns <- struct{}{}
		wg.Go(func() { errs[i] = s.Start(w.t.Context()); <-turns })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(w.t, err)
	}
}

// linked waits until every link of every stamp is up.
func (w *world) linked() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		for _, s := range w.Stamps() {
			for _, l := range s.Gateway().Status().Links {
				if !l.Up {
					return false
				}
			}
		}
		return true
	}, 3*time.Minute, 50*time.Millisecond, "links do not come up")
}

// orphans are the leaves whose first hub is the given one.
func (w *world) orphans(hub topology.StampID) map[topology.StampID]bool {
	out := map[topology.StampID]bool{}
	for _, s := range w.Stamps() {
		if len(s.Link.Via) > 0 && s.Link.Via[0] == hub {
			out[s.ID] = true
		}
	}
	return out
}
