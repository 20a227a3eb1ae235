package tunnel_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/internal/natstest"
)

// counted counts how often each path was asked for and answers when it may.
type counted struct {
	seen    sync.Map // path: *atomic.Int32
	arrived atomic.Int32
	gate    chan struct{}
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	n, _ := c.seen.LoadOrStore(r.Method+r.URL.Path, new(atomic.Int32))
	n.(*atomic.Int32).Add(1)
	c.arrived.Add(1)
	<-c.gate
	fmt.Fprint(w, r.URL.Path)
}

func (c *counted) times(request string) int32 {
	n, ok := c.seen.Load(request)
	if !ok {
		return 0
	}
	return n.(*atomic.Int32).Load()
}

// One of two replicas is killed while it has some of 1,000 requests: what is
// safe to repeat is served by the other, the rest is served or fails with the
// reason, and nothing that is not safe is executed twice.
func TestKilledReplica(t *testing.T) {
	const n = 1000
	w := newWorld(t)
	doomed, safe := &counted{gate: make(chan struct{})}, &counted{gate: make(chan struct{})}
	nc, _ := w.serve(doomed)
	w.serve(safe)
	release := sync.OnceFunc(func() { close(safe.gate) })
	done := sync.OnceFunc(func() { close(doomed.gate) })
	t.Cleanup(release) // or nothing would end if the test fails
	t.Cleanup(done)
	hc := &http.Client{Transport: w.client.RoundTripper(tunnel.Route{To: "us", Target: "up"})}
	type result struct {
		method, path string
		code         int
		body         string
		err          error
	}
	results := make(chan result, n)
	for i := range n {
		method := []string{http.MethodGet, http.MethodPost}[i%2]
		path := fmt.Sprintf("/%d", i)
		go func() {
			req, _ := http.NewRequest(method, "http://us"+path, strings.NewReader("x"))
			res, err := hc.Do(req)
			if err != nil {
				results <- result{method: method, path: path, err: err}
				return
			}
			b, err := io.ReadAll(res.Body)
			results <- result{method, path, res.StatusCode, string(b), err}
		}()
	}
	require.Eventually(t, func() bool { return doomed.arrived.Load()+safe.arrived.Load() == n }, patience, tick)
	require.NotZero(t, doomed.arrived.Load())
	require.NotZero(t, safe.arrived.Load())
	release()
	nc.Close() // as a process that is killed
	var failed, repeated int32
	for range n {
		r := <-results
		times := doomed.times(r.method+r.path) + safe.times(r.method+r.path)
		if r.method == http.MethodGet {
			require.NoError(t, r.err)
			require.Equal(t, r.path, r.body)
			repeated += times - 1
			continue
		}
		require.EqualValues(t, 1, times, "POST %s was executed again", r.path)
		if r.err != nil {
			var why *tunnel.Error
			require.ErrorAs(t, r.err, &why)
			require.Equal(t, tunnel.ReasonLost, why.Reason)
			require.Equal(t, http.StatusBadGateway, why.Status)
			failed++
			continue
		}
		require.Equal(t, r.path, r.body)
	}
	done()
	require.Equal(t, doomed.arrived.Load(), failed+repeated)
}

// A replica that is told to stop finishes what it has; nobody notices.
func TestStoppedReplica(t *testing.T) {
	w := newWorld(t)
	first, second := &counted{gate: make(chan struct{})}, &counted{gate: make(chan struct{})}
	_, stop := w.serve(first)
	gw := w.gateway()
	post := func(path string, done chan<- string) {
		res, err := http.Post(gw.URL+path, "", strings.NewReader("x"))
		if err != nil {
			done <- err.Error()
			return
		}
		b, _ := io.ReadAll(res.Body)
		done <- fmt.Sprint(res.StatusCode, " ", string(b))
	}
	done := make(chan string, 1)
	go post("/a", done)
	require.Eventually(t, func() bool { return first.arrived.Load() == 1 }, patience, tick)
	w.serve(second)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(second.gate)
	require.Eventually(t, func() bool { // all that is new goes to the second
		was := second.arrived.Load()
		again := make(chan string, 1)
		go post("/b", again)
		select {
		case <-again:
		case <-time.After(100 * time.Millisecond): // the first has it still
		}
		return second.arrived.Load() > was
	}, patience, tick)
	close(first.gate)
	require.Equal(t, "200 /a", <-done)
	<-stopped
}

// Clients that die take their requests with them.
func TestLostClient(t *testing.T) {
	w := newWorld(t)
	begun, gone := make(chan struct{}), make(chan struct{})
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
		close(gone)
	}), func(c *tunnel.ServerConfig) { c.Heartbeat = 200 * time.Millisecond })
	fed := w.eu.Connect()
	c, err := tunnel.NewClient(tunnel.ClientConfig{Me: "eu", Fed: fed, Log: quiet()})
	require.NoError(t, err)
	natstest.Run(t, c.Run)
	req, _ := http.NewRequest(http.MethodGet, "http://us/", nil)
	res, err := c.RoundTripper(tunnel.Route{To: "us", Target: "up"}).RoundTrip(req)
	require.NoError(t, err)
	<-begun
	fed.Close()
	<-gone
	res.Body.Close()
}

// A link that is cut and comes back has lost frames. Whoever waits for them is
// told so.
func TestCutLink(t *testing.T) {
	w := newWorld(t, func(c *tunnel.ClientConfig) { c.Heartbeat = 100 * time.Millisecond })
	begun := make(chan struct{})
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
	}), func(c *tunnel.ServerConfig) { c.Heartbeat = 100 * time.Millisecond })
	res, err := http.Get(w.gateway().URL)
	require.NoError(t, err)
	<-begun
	w.us.Shutdown()
	_, err = io.ReadAll(res.Body)
	require.Error(t, err)
	res, body := get(t, w.gateway().URL)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Contains(t, body, "no route to stamp us")
}
