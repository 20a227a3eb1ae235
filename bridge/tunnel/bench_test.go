package tunnel_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
)

// The same requests through httputil.ReverseProxy twice, as without NATS one
// would have a proxy in each stamp, once, and through the tunnel, in turns.
func BenchmarkLatency(b *testing.B) {
	ways := wayThrough(b)
	lat := map[string][]time.Duration{}
	for b.Loop() {
		for name, url := range ways {
			at := time.Now()
			get(b, url+"/small")
			lat[name] = append(lat[name], time.Since(at))
		}
	}
	for name, l := range lat {
		slices.Sort(l)
		b.ReportMetric(float64(l[len(l)/2].Microseconds()), name+"-p50-us")
		b.ReportMetric(float64(l[len(l)*99/100].Microseconds()), name+"-p99-us")
	}
}

func BenchmarkThroughput10MB(b *testing.B) {
	for name, url := range wayThrough(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(10 << 20)
			for b.Loop() {
				res, err := http.Get(url + "/big")
				require.NoError(b, err)
				n, err := io.Copy(io.Discard, res.Body)
				require.NoError(b, err)
				require.EqualValues(b, 10<<20, n)
				res.Body.Close()
			}
		})
	}
}

// BenchmarkIdleWatch says what 1,000 open watches take on both sides of the
// tunnel, clients and upstream left out as far as they can be.
func BenchmarkIdleWatch(b *testing.B) {
	const n = 1000
	w := newWorld(b)
	w.serve(watch{})
	rt := w.client.RoundTripper(tunnel.Route{To: "us", Target: "up"})
	for b.Loop() {
		before := memory()
		var open []*http.Response
		for range n {
			req, _ := http.NewRequest(http.MethodGet, "http://us/", nil)
			res, err := rt.RoundTrip(req)
			require.NoError(b, err)
			open = append(open, res)
		}
		b.ReportMetric(float64(memory()-before)/n/1024, "KB/watch")
		for _, res := range open {
			res.Body.Close()
		}
	}
}

type watch struct{}

func (watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.(http.Flusher).Flush()
	<-r.Context().Done()
}

// memory returns what heap and stacks take.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse) //nolint:gosec // a size
}

func wayThrough(b *testing.B) map[string]string {
	big := make([]byte, 10<<20)
	up := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			rw.Header().Set("Content-Length", fmt.Sprint(len(big)))
			rw.Write(big)
			return
		}
		fmt.Fprint(rw, `{"code":200}`)
	}))
	b.Cleanup(up.Close)
	proxy := func(to string) string {
		u, err := url.Parse(to)
		require.NoError(b, err)
		p := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		})
		b.Cleanup(p.Close)
		return p.URL
	}
	w := newWorld(b)
	w.serveAt(up.URL)
	one := proxy(up.URL)
	return map[string]string{"direct": up.URL, "proxy": one, "twoproxies": proxy(one), "tunnel": w.gateway().URL}
}
