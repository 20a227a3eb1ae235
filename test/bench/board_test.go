package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/federation"
	"github.com/ringway/ringway/internal/natstest"
)

// A board says how the stamps of a world reach each other.
type board interface {
	federation.Board
	listen(*gateway.Options)
}

// direct links the stamps without anything in between: their listeners get
// their addresses beforehand.
type direct struct {
	tb    testing.TB
	mu    sync.Mutex
	addrs map[[2]string]string // by stamp and facet
}

func newDirect(tb testing.TB) *direct { return &direct{tb: tb, addrs: map[[2]string]string{}} }

func (d *direct) Addr(_, to, facet string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := [2]string{to, facet}
	if d.addrs[k] == "" {
		d.addrs[k] = natstest.Addr(d.tb)
	}
	return d.addrs[k], nil
}

func (d *direct) Forward(_, _, _ string) error { return nil }

func (d *direct) listen(o *gateway.Options) {
	for facet, at := range map[string]*string{federation.FacetGateway: &o.Listen.Gateway, federation.FacetLeafnode: &o.Listen.Leafnode} {
		*at, _ = d.Addr("", string(o.Stamp), facet) // never fails
	}
}

// relays links the stamps through toxiproxies.
type relays struct {
	direct

	server *toxiproxy.ApiServer
	lines  map[[3]string]*toxiproxy.Proxy // by from, to and facet
}

func newRelays(tb testing.TB) *relays {
	r := &relays{
		direct: direct{tb: tb, addrs: map[[2]string]string{}}, lines: map[[3]string]*toxiproxy.Proxy{},
		server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()),
	}
	tb.Cleanup(r.cut)
	return r
}

func (r *relays) Addr(from, to, facet string) (string, error) {
	upstream, err := r.direct.Addr(from, to, facet)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k := [3]string{from, to, facet}
	if r.lines[k] == nil {
		p := toxiproxy.NewProxy(r.server, from+"-"+to+"-"+facet, natstest.Addr(r.tb), upstream)
		if err := p.Start(); err != nil {
			return "", err
		}
		r.lines[k] = p
	}
	return r.lines[k].Listen, nil
}

// cut ends every connection and refuses new ones until heal.
func (r *relays) cut() {
	for _, p := range r.lines {
		p.Stop()
	}
}

func (r *relays) heal() {
	for _, p := range r.lines {
		if err := p.Start(); !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			require.NoError(r.tb, err)
		}
	}
}

// delay makes every byte arrive d later, in both directions; 0 undoes it.
func (r *relays) delay(d time.Duration) {
	for _, p := range r.lines {
		p.Toxics.ResetToxics(r.tb.Context())
		if d == 0 {
			continue
		}
		for _, stream := range []string{"upstream", "downstream"} {
			toxic, err := json.Marshal(map[string]any{
				"name": "delay-" + stream, "type": "latency", "stream": stream, "attributes": map[string]any{"latency": d.Milliseconds()},
			})
			require.NoError(r.tb, err)
			_, err = p.Toxics.AddToxicJson(bytes.NewReader(toxic))
			require.NoError(r.tb, err)
		}
	}
}
