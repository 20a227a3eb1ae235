package tunnel_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
)

// raw sends text to a server as it is and returns the answer to the end.
func raw(t testing.TB, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, text)
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(b)
}

func TestTargetIsKeptByteForByte(t *testing.T) {
	w := newWorld(t)
	got := make(chan string, 1)
	w.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.RequestURI }))
	addr := w.gateway(func(r *tunnel.Route) { r.StripPrefix = "/t/us/up" }).Listener.Addr().String()
	for _, target := range []string{
		"/", "/a%2Fb", "/a%252Fb", "/a?", "/a??", "/a?b=%2F&c=+d;e", "//", "//a//b", "//a%2Fb?", "/a/../b/./c", "/%7Ea%20b", "/%E2%82%AC",
		"/v1/x/helm%2Fcarts.tgz?gitCommitID=", "/job%252Fconfig.yaml?", `/{"a"}|b`, "/a%zz"[:2], "/a:b@c", "/a#b"[:2], "/?q=http://x//y",
	} {
		res := raw(t, addr, "GET /t/us/up"+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.True(t, strings.HasPrefix(res, "HTTP/1.1 200 "), "%s: %s", target, res)
		require.Equal(t, target, <-got)
	}
	res := raw(t, addr, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.True(t, strings.HasPrefix(res, "HTTP/1.1 200 "), res) // Go's own answer
}

func TestHeadersCross(t *testing.T) {
	w := newWorld(t)
	got := make(chan http.Header, 1)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		got <- r.Header.Clone()
		rw.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		rw.Header().Set("Connection", "X-Hop")
		rw.Header().Set("X-Hop", "1")
		rw.WriteHeader(http.StatusTeapot)
		fmt.Fprint(rw, "tea")
	}))
	gw := w.gateway(func(r *tunnel.Route) { r.Strip = []string{"X-Token"} })
	req, err := http.NewRequest("PATCH", gw.URL+"/x", strings.NewReader("milk"))
	require.NoError(t, err)
	req.Header = http.Header{
		"X-Token": {"secret"}, "X-Many": {"1", "2"}, "Connection": {"X-Hop"}, "X-Hop": {"1"}, "Traceparent": {"00-1"}, "X-Raw": {"\xe9"},
		"User-Agent": {""}, "Accept-Encoding": {"gzip"},
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, "tea", read(t, res))
	require.Equal(t, http.StatusTeapot, res.StatusCode)
	require.Equal(t, []string{"a=1", "b=2"}, res.Header["Set-Cookie"])
	require.NotContains(t, res.Header, "X-Hop")
	h := <-got
	require.Equal(t, []string{"1", "2"}, h["X-Many"])
	require.Equal(t, []string{"\xe9"}, h["X-Raw"])
	require.Equal(t, []string{"127.0.0.1"}, h["X-Forwarded-For"])
	for _, name := range []string{"X-Token", "X-Hop", "Connection", "User-Agent"} {
		require.NotContains(t, h, name)
	}
}

func TestBodiesCross(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		rw.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		if r.URL.Path == "/sized" {
			rw.Header().Set("Content-Length", fmt.Sprint(len(b)))
		}
		rw.Write(b)
	}), func(c *tunnel.ServerConfig) { c.Targets[0].MaxRequest = -1 })
	gw := w.gateway(func(r *tunnel.Route) { r.MaxRequest = -1 })
	for _, size := range []int{0, 1, 100, 32 << 10, 32<<10 + 1, 600_000, 5 << 20, 20 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdefg"), size/17+1)[:size]
		for _, path := range []string{"/sized", "/stream"} {
			for _, length := range []int64{int64(size), -1} {
				req, err := http.NewRequest(http.MethodPost, gw.URL+path, io.NopCloser(bytes.NewReader(body)))
				require.NoError(t, err)
				if req.ContentLength = length; length == 0 {
					req.Body = http.NoBody
				}
				res, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				got := read(t, res)
				require.Equal(t, sha256.Sum256(body), sha256.Sum256([]byte(got)), "%d bytes, %s, %d", size, path, length)
				require.Equal(t, fmt.Sprint(length), res.Header.Get("X-Length"))
			}
		}
	}
}

func TestStreamsArriveAtOnce(t *testing.T) {
	w := newWorld(t)
	next := make(chan string)
	gone := make(chan struct{})
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(gone)
		rw.(http.Flusher).Flush()
		for {
			select {
			case s := <-next:
				fmt.Fprintln(rw, s)
				rw.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	res, err := http.Get(w.gateway().URL + "/watch")
	require.NoError(t, err)
	lines := bufio.NewScanner(res.Body)
	for i := range 20 {
		next <- fmt.Sprint(i)
		require.True(t, lines.Scan())
		require.Equal(t, fmt.Sprint(i), lines.Text())
	}
	// Whoever watches goes, and the upstream knows.
	require.NoError(t, res.Body.Close())
	<-gone
}

func TestRoundTripperServesAnHTTPClient(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, r.Method, r.RequestURI, r.Host) }),
		func(c *tunnel.ServerConfig) { c.Targets[0].KeepHost = true })
	hc := &http.Client{Transport: w.client.RoundTripper(tunnel.Route{To: "us", Target: "up"})}
	res, err := hc.Get("http://us.up/a%2Fb?")
	require.NoError(t, err)
	require.Equal(t, "GET/a%2Fb?us.up", read(t, res))
	var e *url.Error
	hc.Transport = w.client.RoundTripper(tunnel.Route{To: "us", Target: "other"})
	_, err = hc.Get("http://us.up/")
	require.ErrorAs(t, err, &e)
	var why *tunnel.Error
	require.ErrorAs(t, err, &why)
	require.Equal(t, tunnel.ReasonNoTarget, why.Reason)
}
