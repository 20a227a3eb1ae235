package keptn

import (
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A gate is an HTTP relay that can be shut: what is closed is answered with
// 503, and counted.
type gate struct {
	addr string

	mu      sync.Mutex // guards the following fields
	closed  string     // part of a path; "" is none
	left    int        // how many are still refused
	refused int
}

// newGate relays to target until the test ends.
func newGate(t testing.TB, target string) *gate {
	t.Helper()
	u, err := url.Parse("http://" + target)
	require.NoError(t, err)
	g := &gate{}
	relay := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.refuses(r.URL.Path) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		relay.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	g.addr = s.Listener.Addr().String()
	return g
}

func (g *gate) refuses(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == 0 || !strings.Contains(path, g.closed) {
		return false
	}
	g.refused++
	g.left--
	return true
}

// shut closes the gate for paths that contain part.
func (g *gate) shut(part string) { g.shutFor(part, math.MaxInt) }

// shutFor closes it for the next n of them.
func (g *gate) shutFor(part string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.left = part, n
}

func (g *gate) open() { g.shutFor("", 0) }

// count returns how many requests were refused.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}
