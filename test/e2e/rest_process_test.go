package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// executed counts how often an upstream began each request, and holds those that
// come while it is shut.
type executed struct {
	*httptest.Server
	arrived atomic.Int32

	mu    sync.Mutex // guards the fields below
	times map[string]int
	open  chan struct{} // closed when requests are answered
}

func newExecuted(t *testing.T) *executed {
	t.Helper()
	e := &executed{times: map[string]int{}, open: make(chan struct{})}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // is not whole, and not executed
		}
		e.mu.Lock()
		e.times[r.Header.Get("X-Request-Id")]++
		open := e.open
		e.mu.Unlock()
		e.arrived.Add(1)
		select {
		case <-open:
			_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		e.release()
		e.Close()
	})
	return e
}

// release answers what came and will come; shut holds what comes from now on.
func (e *executed) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.open:
	default:
		close(e.open)
	}
}

func (e *executed) shut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open = make(chan struct{})
	e.arrived.Store(0)
}

func (e *executed) count(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.times[id]
}

// A served is how one request ended.
type served struct {
	method, id, body string
	header           http.Header
	code             int
	err              error
}

// storm sends n requests at the same time, of three methods, and returns where
// they end.
func storm(hc *http.Client, at, round string, n int) <-chan served {
	out := make(chan served, n)
	for i := range n {
		s := served{method: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPost}[i%4], id: fmt.Sprint(round, i)}
		go func() {
			var body io.Reader
			if s.method != http.MethodGet {
				body = strings.NewReader("of " + s.id)
			}
			req, err := http.NewRequest(s.method, at+"/"+s.id, body) //nolint:noctx // ends with hc's time-out
			if s.err = err; err == nil {
				req.Header.Set("X-Request-Id", s.id)
				s.do(hc, req)
			}
			out <- s
		}()
	}
	return out
}

func (s *served) do(hc *http.Client, req *http.Request) {
	res, err := hc.Do(req)
	if s.err = err; err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	s.body, s.header, s.code, s.err = string(b), res.Header, res.StatusCode, err
}

// TestKilledReplicaOfTheTunnel: kill -9 of a replica, one that stands by and then
// the active one, in the middle of 1,000 requests at the same time, some with the
// upstream and some on their way. What is safe to repeat is served by another
// replica; of the rest what the killed one had fails, with the reason; nothing
// that is not safe is executed twice.
func TestKilledReplicaOfTheTunnel(t *testing.T) {
	const n = 1000
	e := newExecuted(t)
	c := prepareCrew(t, newBinary(t), 3, fmt.Sprintf("targets: [{name: up, stamp: edge, url: %q}]\n", e.URL))
	c.start()
	c.whole()
	at := "http://" + c.rest + "/t/edge/up"
	e.release()
	// The gateway has 2,000 connections for one source: those of a round serve the next.
	tr := &http.Transport{MaxIdleConns: n, MaxIdleConnsPerHost: n}
	t.Cleanup(tr.CloseIdleConnections)
	hc := &http.Client{Transport: tr, Timeout: 2 * fed.Patience}
	require.Eventually(t, func() bool { return (<-storm(hc, at, "first", 1)).code == http.StatusOK }, 2*fed.Patience, 10*time.Millisecond)
	active := c.active()
	for _, doomed := range []int{(active + 1) % 3, active} {
		e.shut()
		round := fmt.Sprintf("%d-", doomed)
		results := storm(hc, at, round, n)
		require.Eventually(t, func() bool { return e.arrived.Load() >= n*3/4 }, 2*fed.Patience, time.Millisecond)
		c.edge[doomed].kill()
		e.release()
		var failed, again int
		for range n {
			r := <-results
			require.NoError(t, r.err, "%s %s", r.method, r.id)
			times := e.count(r.id)
			if r.code == http.StatusOK {
				want := "of " + r.id
				if r.method == http.MethodGet {
					want = ""
				}
				require.Equal(t, fmt.Sprintf("%s /%s %s", r.method, r.id, want), r.body)
				require.GreaterOrEqual(t, times, 1)
				again += times - 1
			}
			if r.method != http.MethodPost {
				require.Equal(t, http.StatusOK, r.code, "%s %s: %s", r.method, r.id, r.body)
				continue
			}
			require.LessOrEqual(t, times, 1, "POST %s was executed again", r.id)
			if r.code != http.StatusOK {
				failed++
				require.Equal(t, http.StatusBadGateway, r.code, r.body)
				require.Equal(t, "replica-lost", r.header.Get("Ringway-Reason"))
				require.Contains(t, r.body, `{"code":502,"message":"gateway of control: `)
			}
		}
		t.Logf("replica %d, active %t: %d of %d failed, %d were repeated", doomed, doomed == active, failed, n/2, again)
		require.NotZero(t, failed, "the killed replica had none")
		require.NotZero(t, again, "the killed replica had none")
		c.edge[doomed].start()
		c.whole()
	}
}
