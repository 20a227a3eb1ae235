package tunnel_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
)

func TestTrailersCross(t *testing.T) {
	w := newWorld(t)
	got := make(chan http.Header, 1)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(rw, r.Body)
		got <- r.Trailer
		rw.Header().Set("X-Sum", "42")
		rw.Header().Set(http.TrailerPrefix+"X-Late", "1")
	}))
	req, _ := http.NewRequest(http.MethodPost, w.gateway().URL, io.NopCloser(strings.NewReader("body")))
	req.Trailer = http.Header{"X-Up": {"7"}}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, "body", read(t, res))
	require.Equal(t, http.Header{"X-Up": {"7"}}, <-got)
	require.Equal(t, http.Header{"X-Sum": {"42"}, "X-Late": {"1"}}, res.Trailer)
}

func TestGzipIsUntouched(t *testing.T) {
	w := newWorld(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, strings.Repeat("keptn", 1000))
	require.NoError(t, z.Close())
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") == "gzip" {
			rw.Header().Set("Content-Encoding", "gzip")
			rw.Write(zipped.Bytes())
			return
		}
		fmt.Fprint(rw, "plain", r.Header["Accept-Encoding"])
	}))
	hc := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer hc.CloseIdleConnections()
	gw := w.gateway()
	res, err := hc.Get(gw.URL)
	require.NoError(t, err)
	require.Equal(t, "plain[]", read(t, res))
	req, _ := http.NewRequest(http.MethodGet, gw.URL, nil)
	req.Header.Set("Accept-Encoding", "gzip")
	res, err = hc.Do(req)
	require.NoError(t, err)
	require.Equal(t, zipped.String(), read(t, res))
	require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
}

func TestAnswersWithoutBodies(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("ETag", `"1"`)
		switch r.URL.Path {
		case "/204":
			rw.WriteHeader(http.StatusNoContent)
		case "/304":
			rw.WriteHeader(http.StatusNotModified)
		case "/head":
			rw.Header().Set("Content-Length", "123456789")
		case "/empty":
		}
	}))
	addr := w.gateway().Listener.Addr().String()
	for line, want := range map[string]string{
		"GET /204": "204 No Content", "GET /304": "304 Not Modified", "HEAD /head": "200 OK", "GET /empty": "200 OK",
	} {
		res := raw(t, addr, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.True(t, strings.HasPrefix(res, "HTTP/1.1 "+want+"\r\n"), res)
		require.True(t, strings.HasSuffix(res, "\r\n\r\n"), res)
		require.NotContains(t, res, "Content-Type")
		require.Contains(t, res, `Etag: "1"`)
		require.Equal(t, line == "HEAD /head", strings.Contains(res, "Content-Length: 123456789"), res)
	}
}

func TestEarlyHints(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</a>")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Del("Link")
		fmt.Fprint(rw, "x")
	}))
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h.Get("Link")))
		return nil
	}})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, w.gateway().URL, nil)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, "x", read(t, res))
	require.Equal(t, []string{"103</a>"}, hints)
	require.Empty(t, res.Header.Get("Link"))
}

// A body that waits for leave is sent when the upstream wants it, and else not
// at all.
func TestExpectContinue(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			rw.WriteHeader(http.StatusExpectationFailed)
			return
		}
		_, _ = io.Copy(rw, r.Body)
	}))
	c, err := net.Dial("tcp", w.gateway().Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	in := bufio.NewReader(c)
	fmt.Fprint(c, "POST /yes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	fmt.Fprint(c, "body")
	res, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "body", read(t, res))
	fmt.Fprint(c, "POST /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	res, err = http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusExpectationFailed, res.StatusCode)
	res.Body.Close()
}

// An answer may come before the end of the request, whose rest nobody reads.
func TestEarlyAnswer(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Connection", "close")
		rw.WriteHeader(http.StatusForbidden)
	}))
	gw := w.gateway()
	body, feed := io.Pipe()
	defer feed.Close()
	req, _ := http.NewRequest(http.MethodPost, gw.URL, body)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	res.Body.Close()
}

// TestPathOfAnUpstreamIsNotLeft: what lies beside the path of an upstream's URL is
// not served, however the way up is written.
func TestPathOfAnUpstreamIsNotLeft(t *testing.T) {
	w := newWorld(t)
	up := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, r.RequestURI) }))
	t.Cleanup(up.Close)
	w.serveAt(up.URL + "/shown")
	addr := w.gateway().Listener.Addr().String()
	for target, want := range map[string]string{
		"/a%2Fb": "/shown/a%2Fb", "/a/../b": "/shown/a/../b", "/a..": "/shown/a..", "/x?a=../../b": "/shown/x?a=../../b",
		"/../hidden": "", "/a/../../hidden": "", "/%2e%2e/hidden": "", "/..%2Fhidden": "", "/./../hidden": "", "//../hidden": "",
	} {
		res := raw(t, addr, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if want == "" {
			require.True(t, strings.HasPrefix(res, "HTTP/1.1 400 "), "%s: %s", target, res)
			require.Contains(t, res, "leaves what target up serves")
			continue
		}
		require.True(t, strings.HasSuffix(res, "\r\n\r\n"+want), "%s: %s", target, res)
	}
}

// echo is an upstream that changes the protocol and then sends back what it
// gets.
func echo(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "SPDY/3.1" || r.Header.Get("Connection") != "Upgrade" {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	conn, buf, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream: 1\r\n\r\nhello\n")
	_, _ = io.Copy(conn, buf)
}

func TestUpgradeIsAByteStream(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(echo))
	// What holds for answers does not for what comes after them.
	gw := w.gateway(func(r *tunnel.Route) { r.Timeout = 5 * time.Second })
	for _, method := range []string{"GET", "POST"} {
		c, err := net.Dial("tcp", gw.Listener.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		fmt.Fprintf(c, "%s /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\nfirst\n", method)
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
		require.Equal(t, "1", res.Header.Get("X-Stream"))
		for _, want := range []string{"hello\n", "first\n"} {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, want, line)
		}
		big := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
		go c.Write(big)
		got := make([]byte, len(big))
		_, err = io.ReadFull(in, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(big, got))
	}
}

// Whoever does not read holds up whoever writes, and nobody else.
func TestBackPressure(t *testing.T) {
	const size = 64 << 20
	w := newWorld(t)
	var written atomic.Int64
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/big" {
			return
		}
		buf := make([]byte, 64<<10)
		for written.Load() < size {
			n, err := rw.Write(buf)
			if err != nil {
				return
			}
			written.Add(int64(n))
		}
	}))
	hc := &http.Client{Transport: w.client.RoundTripper(tunnel.Route{To: "us", Target: "up"})}
	res, err := hc.Get("http://us/big")
	require.NoError(t, err)
	var last int64
	still := 0
	require.Eventually(t, func() bool {
		now := written.Load()
		if still++; now != last || now == 0 {
			still = 0
		}
		last = now
		return still == 40
	}, patience, tick)
	require.Less(t, last, int64(size/2), "sockets hold some, the tunnel little")
	other, err := hc.Get("http://us/small")
	require.NoError(t, err)
	read(t, other)
	n, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	res.Body.Close()
}

// A frame that is missing ends the exchange; so does one that is forged.
func TestLostFrame(t *testing.T) {
	w := newWorld(t)
	w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	spy := w.eu.Connect()
	frames, err := spy.SubscribeSync("rw.v1.http.eu.us.re.>")
	require.NoError(t, err)
	require.NoError(t, spy.Flush())
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://us/", nil)
	res, err := w.client.RoundTripper(tunnel.Route{To: "us", Target: "up"}).RoundTrip(req)
	require.NoError(t, err)
	m, err := frames.NextMsg(patience)
	require.NoError(t, err)
	forged := append([]byte{5}, m.Data[1:9]...)
	forged = binary.BigEndian.AppendUint32(forged, 7)
	other := strings.Replace(m.Subject, ".eu.us.", ".eu.asia.", 1)
	require.NoError(t, spy.PublishMsg(&nats.Msg{Subject: other, Data: forged})) // is not from whom we asked
	require.NoError(t, spy.PublishMsg(&nats.Msg{Subject: m.Subject, Data: append(forged, "data"...)}))
	_, err = io.ReadAll(res.Body)
	var why *tunnel.Error
	require.ErrorAs(t, err, &why)
	require.Equal(t, tunnel.ReasonLost, why.Reason)
	require.Contains(t, why.Message, "were lost")
	res.Body.Close()
}
