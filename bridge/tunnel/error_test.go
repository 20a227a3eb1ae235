package tunnel_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// wantError checks an answer that the tunnel made up.
func wantError(t *testing.T, res *http.Response, body string, code int, reason, message string) {
	t.Helper()
	require.Equal(t, code, res.StatusCode, body)
	require.Equal(t, reason, res.Header.Get(tunnel.HeaderReason))
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	var b struct {
		Code    int
		Message string
	}
	require.NoError(t, json.Unmarshal([]byte(body), &b))
	require.Equal(t, code, b.Code)
	require.Contains(t, b.Message, message)
}

func TestErrorsSayWhichSideAndWhy(t *testing.T) {
	up := false
	w := newWorld(t, func(c *tunnel.ClientConfig) { c.Reachable = func(topology.StampID) bool { return up } })
	gw := w.gateway()
	res, body := get(t, gw.URL)
	wantError(t, res, body, 503, tunnel.ReasonNoRoute, "gateway of eu: no route to stamp us")
	require.Equal(t, "5", res.Header.Get("Retry-After"))
	up = true
	res, body = get(t, gw.URL)
	wantError(t, res, body, 521, tunnel.ReasonNoReplica, "gateway of eu: stamp us is there")
	require.Equal(t, "5", res.Header.Get("Retry-After"))

	dead := natstest.Addr(t)
	release := make(chan struct{})
	_, stop := w.serveAt("http://"+dead, func(c *tunnel.ServerConfig) { c.Targets[0].Name = "dead" })
	res, body = get(t, w.gateway(func(r *tunnel.Route) { r.Target = "dead" }).URL)
	wantError(t, res, body, 502, tunnel.ReasonRefused, "gateway of us: target dead, upstream "+dead)
	require.Contains(t, body, "connection refused")
	require.Equal(t, "5", res.Header.Get("Retry-After"))
	res, body = get(t, gw.URL)
	wantError(t, res, body, 404, tunnel.ReasonNoTarget, "gateway of us: the stamp has no target")
	require.Empty(t, res.Header.Get("Retry-After"))
	stop()

	w.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}), func(c *tunnel.ServerConfig) {
		c.Targets[0].Rules = tunnel.Rules{{Deny: true, Methods: []string{"DELETE"}}, {}}
		c.MaxOpen = 2
	})
	slow := w.gateway(func(r *tunnel.Route) { r.Timeout = 50 * time.Millisecond })
	res, body = get(t, slow.URL)
	wantError(t, res, body, 504, tunnel.ReasonTimeout, "no answer in")
	req, _ := http.NewRequest(http.MethodDelete, gw.URL, nil)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	wantError(t, res, read(t, res), 403, tunnel.ReasonDenied, "gateway of us: stamp eu may not DELETE")
	close(release)
	res, body = get(t, gw.URL)
	wantError(t, res, body, 502, tunnel.ReasonUpstream, "gateway of us: target up")
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	held := &counted{gate: make(chan struct{})}
	w.serve(held, func(c *tunnel.ServerConfig) { c.MaxOpen = 1 })
	gw := w.gateway()
	first := make(chan int, 1)
	go func() {
		res, err := http.Get(gw.URL)
		if err != nil {
			first <- 0
			return
		}
		res.Body.Close()
		first <- res.StatusCode
	}()
	require.Eventually(t, func() bool { return held.arrived.Load() == 1 }, patience, tick)
	res, body := get(t, gw.URL)
	wantError(t, res, body, 429, tunnel.ReasonBusy, "gateway of us: 1 requests are under way")
	close(held.gate)
	require.Equal(t, 200, <-first)
}

func TestLimitsCountRealBytes(t *testing.T) {
	w := newWorld(t)
	ends := make(chan error, 8)
	w.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ends <- err
	}))
	gw := w.gateway()
	open := w.gateway(func(r *tunnel.Route) { r.MaxRequest = -1 })
	post := func(url string, n int64, length int64) (*http.Response, string) {
		req, _ := http.NewRequest(http.MethodPost, url, io.LimitReader(zeros{}, n))
		req.ContentLength = length
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		return res, read(t, res)
	}
	const limit = 5 << 20
	res, _ := post(gw.URL, limit, limit)
	require.Equal(t, 200, res.StatusCode)
	require.NoError(t, <-ends)
	res, _ = post(gw.URL, limit, -1)
	require.Equal(t, 200, res.StatusCode)
	require.NoError(t, <-ends)
	res, body := post(gw.URL, limit+1, -1)
	wantError(t, res, body, 413, tunnel.ReasonTooLarge, "gateway of eu: the body")
	require.Error(t, <-ends, "the upstream does not take what there is for all")
	res, body = post(open.URL, limit+1, -1)
	wantError(t, res, body, 413, tunnel.ReasonTooLarge, "gateway of us: the body")
	require.Error(t, <-ends)
	head := "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5242881\r\n\r\n"
	require.Contains(t, raw(t, gw.Listener.Addr().String(), head), "HTTP/1.1 413 ")
	req, _ := http.NewRequest(http.MethodGet, gw.URL, nil)
	req.Header.Set("X-Long", strings.Repeat("x", 300<<10))
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	wantError(t, res, read(t, res), 431, tunnel.ReasonHead, "gateway of eu: the header")
	require.Empty(t, ends)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A body that breaks off is no whole one for anybody, up or down.
func TestTruncatedBodies(t *testing.T) {
	w := newWorld(t)
	// The upstream may see the start of one or nothing, and at its own time.
	var wholes, short atomic.Int32
	t.Cleanup(func() { // after the upstream is closed
		require.Zero(t, wholes.Load())
		require.Zero(t, short.Load(), "a short one has not reached the upstream")
	})
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if r.URL.Path == "/short" {
				short.Add(1)
			}
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				wholes.Add(1)
			}
			return
		}
		if r.URL.Path == "/sized" {
			rw.Header().Set("Content-Length", "100000")
		}
		fmt.Fprint(rw, "some")
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	gw := w.gateway()
	addr := gw.Listener.Addr().String()
	for _, path := range []string{"/sized", "/chunked"} {
		res, err := http.Get(gw.URL + path)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		_, err = io.ReadAll(res.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	half := func(text string) string {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, text)
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).CloseWrite())
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line
	}
	long := strings.Repeat("x", 50_000)
	require.Contains(t, half("POST /short HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"), " 400 ")
	require.NotContains(t, half("POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"+long), " 200 ")
	require.NotContains(t, half("POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"), " 200 ")
}

func TestCredentialsAreAddedAtTheFarEdge(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("one\n"), 0o600))
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, r.Header["X-Token"], r.Header["Authorization"])
	}), func(c *tunnel.ServerConfig) {
		c.Targets[0].Credentials = map[string]string{"x-token": file, "Authorization": file}
		c.Targets[0].CredentialPrefix = "Bearer "
	})
	gw := w.gateway()
	req, _ := http.NewRequest(http.MethodGet, gw.URL, nil)
	req.Header.Set("X-Token", "of the client")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, "[one] [Bearer one]", read(t, res))
	require.NoError(t, os.WriteFile(file, []byte("two\n"), 0o600))
	_, body := get(t, gw.URL)
	require.Equal(t, "[two] [Bearer two]", body)
}
