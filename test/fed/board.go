package fed

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// A cable is one way to connect.
type cable struct{ from, to, facet string }

// A board holds a toxiproxy for every cable. It is safe for concurrent use.
type board struct {
	t      testing.TB
	server *toxiproxy.ApiServer // holds no listener; proxies want one

	mu    sync.Mutex // guards the following fields
	addrs map[cable]string
	lines map[cable]*toxiproxy.Proxy
	cut   map[string]bool
	toxic map[string][]poison // by stamp
}

// A poison is a toxic that a stamp's lines have, whoever else has put some on
// the same lines.
type poison struct {
	kind  string
	toxic toxics.Toxic
	in    []string // streams
}

// name tells the toxics of the two ends of a line apart.
func (p poison) name(stamp, stream string) string { return p.kind + "-" + stamp + "-" + stream }

var streams = []string{"upstream", "downstream"}

func newBoard(t testing.TB) *board {
	b := &board{
		t:      t,
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()),
		addrs:  map[cable]string{}, lines: map[cable]*toxiproxy.Proxy{}, cut: map[string]bool{}, toxic: map[string][]poison{},
	}
	t.Cleanup(b.close)
	return b
}

// Addr returns where from reaches a listener of to.
func (b *board) Addr(from, to, facet string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := cable{from, to, facet}
	if b.addrs[c] == "" {
		b.addrs[c] = natstest.Addr(b.t)
	}
	return b.addrs[c], nil
}

// Forward leads every cable to a listener of to.
func (b *board) Forward(to, facet, target string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c, addr := range b.addrs {
		if c.to != to || c.facet != facet {
			continue
		}
		p := b.lines[c]
		if p != nil && p.Upstream == target {
			continue
		}
		if p != nil {
			p.Stop()
		}
		p = toxiproxy.NewProxy(b.server, fmt.Sprintf("%s-%s-%s", c.from, c.to, c.facet), addr, target)
		b.lines[c] = p
		for _, stamp := range []string{c.from, c.to} {
			for _, one := range b.toxic[stamp] {
				if err := one.put(stamp, p); err != nil {
					return fmt.Errorf("relay %s: %w", p.Name, err)
				}
			}
		}
		if b.cut[c.from] || b.cut[c.to] {
			continue
		}
		if err := p.Start(); err != nil {
			return fmt.Errorf("relay %s: %w", p.Name, err)
		}
	}
	return nil
}

// each calls f for every line that stamp is an end of.
func (b *board) each(stamp string, f func(c cable, p *toxiproxy.Proxy)) {
	b.t.Helper()
	n := 0
	for c, p := range b.lines {
		if c.from == stamp || c.to == stamp {
			f(c, p)
			n++
		}
	}
	require.Positive(b.t, n, "stamp %s has no lines", stamp)
}

func (b *board) setCut(stamp string, cut bool) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut[stamp] = cut
	b.each(stamp, func(c cable, p *toxiproxy.Proxy) {
		if b.cut[c.from] || b.cut[c.to] {
			p.Stop()
			return
		}
		if err := p.Start(); !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			require.NoError(b.t, err)
		}
	})
}

// addToxic puts a toxic on every line of a stamp, also on those that come
// later, in both directions unless told which.
func (b *board) addToxic(stamp, kind string, toxic toxics.Toxic, directions ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(directions) == 0 {
		directions = streams
	}
	one := poison{kind, toxic, directions}
	b.toxic[stamp] = append(b.toxic[stamp], one)
	b.each(stamp, func(_ cable, p *toxiproxy.Proxy) { require.NoError(b.t, one.put(stamp, p)) })
}

func (p poison) put(stamp string, line *toxiproxy.Proxy) error {
	for _, stream := range p.in {
		if _, err := line.Toxics.AddToxicJson(toxicJSON(p.name(stamp, stream), p.kind, stream, p.toxic)); err != nil {
			return err
		}
	}
	return nil
}

// clear takes off what addToxic put on for a stamp.
func (b *board) clear(stamp string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range b.toxic[stamp] {
		b.each(stamp, func(_ cable, p *toxiproxy.Proxy) {
			for _, stream := range one.in {
				require.NoError(b.t, p.Toxics.RemoveToxic(b.t.Context(), one.name(stamp, stream)))
			}
		})
	}
	delete(b.toxic, stamp)
}

func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.lines {
		p.Stop()
	}
}
