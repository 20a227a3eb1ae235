package bench_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	longBody    = 10 << 20
	idleWatches = 1000
)

// A tunnelTarget has a long body, a short one, and a watch in which nothing
// happens.
type tunnelTarget struct {
	*httptest.Server
	watched atomic.Int32 // watches that are open
}

func newTunnelTarget(tb testing.TB) *tunnelTarget {
	tb.Helper()
	long := make([]byte, longBody)
	t := &tunnelTarget{}
	t.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			_, _ = w.Write(long) // the client has gone
		case "/watch":
			t.watched.Add(1)
			defer t.watched.Add(-1)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			_, _ = io.WriteString(w, `{"code":200}`)
		}
	}))
	tb.Cleanup(t.Close)
	return t
}

// tunnelWays returns where the target is reached: through whole gateways, through
// a httputil.ReverseProxy, and through one in each stamp with mutual TLS between
// them, as the link has it.
func tunnelWays(tb testing.TB, up *tunnelTarget) map[string]string {
	tb.Helper()
	w := newWorldOf(tb, worldYAML+fmt.Sprintf("targets: [{name: up, stamp: plane, url: %q}]\n", up.URL), newDirect(tb), false)
	proxy := func(to string, conf *tls.Config) *httptest.Server {
		u, err := url.Parse(to)
		require.NoError(tb, err)
		return httptest.NewUnstartedServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }, FlushInterval: -1,
			Transport: &http.Transport{MaxIdleConnsPerHost: 2 * idleWatches, DisableCompression: true, TLSClientConfig: conf},
		})
	}
	one := proxy(up.URL, nil)
	one.Start()
	far := proxy(up.URL, nil)
	far.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	far.StartTLS()
	conf := far.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.Certificates = far.TLS.Certificates
	near := proxy(far.URL, conf)
	near.Start()
	for _, s := range []*httptest.Server{one, far, near} {
		tb.Cleanup(s.Close)
	}
	ways := map[string]string{"direct": up.URL, "ringway": w.fed.Stamp(from).RESTURL() + "/t/plane/up", "proxy": one.URL, "proxies": near.URL}
	for name, at := range ways {
		require.Eventually(tb, func() bool { return fetch(at+"/") == nil }, 20*time.Second, 10*time.Millisecond, name)
	}
	return ways
}

// fetch reads an answer to its end.
func fetch(at string) error {
	res, err := http.Get(at) //nolint:gosec,noctx // of this benchmark, and ends with it
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// turnsOf lets ways take n turns of d each, after one to warm up, and returns for
// each way and turn how long the requests took, in order, and the nanoseconds of
// CPU that each took on all of its way.
func turnsOf(tb testing.TB, ways map[string]string, path string, n int, d time.Duration) (got map[string][]latency, cpu map[string][]float64) {
	tb.Helper()
	got, cpu = map[string][]latency{}, map[string][]float64{}
	for turn := range n + 1 {
		for name, at := range ways {
			runtime.GC()
			var l latency
			used := cpuTime(tb)
			for end := time.Now().Add(d); time.Now().Before(end); {
				began := time.Now()
				require.NoError(tb, fetch(at+path))
				l = append(l, time.Since(began))
			}
			slices.Sort(l)
			if turn > 0 {
				got[name] = append(got[name], l)
				cpu[name] = append(cpu[name], float64(cpuTime(tb)-used)/float64(len(l)))
			}
		}
	}
	return got, cpu
}

// BenchmarkTunnel is about HTTP through the tunnel, against proxies on the same
// links.
func BenchmarkTunnel(b *testing.B) {
	t := newTunnelTarget(b)
	ways := tunnelWays(b, t)
	if os.Getenv("ALONE") != "" { // for a profile
		alone, used := turnsOf(b, map[string]string{"ringway": ways["ringway"]}, "/long", 4, time.Second)
		b.ReportMetric(spreadOf(used["ringway"]).mid/1e6, "CPU-ms/body")
		b.ReportMetric(longBody/spreadOf(medians(alone["ringway"])).mid*1e3, "MB/s")
		return
	}
	var short, long map[string][]latency
	var cpu map[string][]float64
	var held map[string]float64
	b.ResetTimer()
	for range b.N {
		held = map[string]float64{}
		for _, name := range []string{"direct", "proxy", "proxies", "ringway"} {
			held[name] = watches(b, t, ways[name]+"/watch")
		}
		short, _ = turnsOf(b, ways, "/", 9, 500*time.Millisecond)
		long, cpu = turnsOf(b, ways, "/long", 9, time.Second)
	}
	b.StopTimer()
	b.ReportMetric(0, "ns/op")
	for _, c := range []struct{ way, label string }{{"proxy", "one proxy"}, {"proxies", "a proxy in each stamp"}} {
		reportTunnel(c.way, c.label, short, long, cpu, held)
	}
}

func reportTunnel(way, label string, short, long map[string][]latency, cpu map[string][]float64, held map[string]float64) {
	const command = "make bench ONLY=Tunnel"
	ours, theirs := medians(short["ringway"]), medians(short[way])
	var more []float64
	for i := range ours {
		more = append(more, ours[i]-theirs[i])
	}
	added := spreadOf(more)
	report.add(row{
		what: "h. HTTP through the tunnel, p50, against " + label, command: command,
		figure: micro(spreadOf(ours).mid), against: micro(spreadOf(theirs).mid),
		ratio: "+ " + micro(added.mid) + " (" + micro(added.low) + " to " + micro(added.high) + ")",
		bar:   "≤ + 1 ms", met: added.mid <= float64(time.Millisecond),
	})
	rate := func(turns []latency) (out []float64) {
		for _, m := range medians(turns) {
			out = append(out, longBody/m*1e3) // MB/s of ns
		}
		return out
	}
	r := row{
		what: "i. bodies of 10 MB through the tunnel, against " + label, command: command,
		figure:  fmt.Sprintf("%.0f MB/s", spreadOf(rate(long["ringway"])).mid),
		against: fmt.Sprintf("%.0f MB/s", spreadOf(rate(long[way])).mid),
	}
	of := ratios(rate(long["ringway"]), rate(long[way]))
	if r.ratio = of.times(); way == "proxies" { // one proxy has no link to cross: it is there to compare
		r.ratio, r.bar, r.met = atLeast(of, 0.5)
	}
	report.add(r)
	report.add(row{
		what: "i. bodies of 10 MB, CPU of a body against " + label, command: command,
		figure: micro(spreadOf(cpu["ringway"]).mid), against: micro(spreadOf(cpu[way]).mid),
		ratio: ratios(cpu["ringway"], cpu[way]).times(),
	})
	kept := held["ringway"] - held["direct"] // without the client and the upstream
	report.add(row{
		what: "j. memory of an idle watch, against " + label, command: command,
		figure: fmt.Sprintf("%.0f KB", kept), against: fmt.Sprintf("%.0f KB", held[way]-held["direct"]),
		bar: "≤ 64 KB", met: kept <= 64,
	})
}

func medians(turns []latency) (out []float64) {
	for _, l := range turns {
		out = append(out, float64(quantile(l, 0.5)))
	}
	return out
}

// watches returns how many KB of heap and stacks an open watch takes in this
// process, which has all of its way.
func watches(tb testing.TB, t *tunnelTarget, at string) float64 {
	tb.Helper()
	u, err := url.Parse(at)
	require.NoError(tb, err)
	before := inUse()
	var open []net.Conn
	for range idleWatches {
		conn, err := net.Dial("tcp", u.Host) //nolint:noctx // is there
		require.NoError(tb, err)
		open = append(open, conn)
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", u.Path)
		require.NoError(tb, err)
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		require.NoError(tb, err)
		require.True(tb, strings.HasPrefix(line, "HTTP/1.1 200"), line)
	}
	used := float64(inUse()-before) / idleWatches / 1024
	for _, conn := range open {
		require.NoError(tb, conn.Close())
	}
	require.Eventually(tb, func() bool { return t.watched.Load() == 0 }, 20*time.Second, 10*time.Millisecond)
	return used
}

// inUse returns what is live on the heap, and what stacks take.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what pools had as well
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) //nolint:gosec // a size
}
