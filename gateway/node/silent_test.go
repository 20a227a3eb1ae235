package node_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// A wire is a TCP connection that can go silent without being closed.
type wire struct {
	net.Conn
	silent *atomic.Bool
}

func (w wire) Write(b []byte) (int, error) {
	if w.silent.Load() {
		return len(b), nil
	}
	return w.Conn.Write(b)
}

// relay passes connections on to an address until the test ends. An HTTP
// CONNECT at the start says another address, if the proxy is asked with user
// and password.
func relay(t *testing.T, to string, silent *atomic.Bool) (addr string, asked *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	asked = &atomic.Int32{}
	pass := func(c net.Conn) {
		in, to := io.Reader(c), to
		if to == "" {
			br := bufio.NewReader(c)
			req, err := http.ReadRequest(br)
			if err != nil || req.Method != http.MethodConnect || req.Header.Get("Proxy-Authorization") != basic("me", "secret") {
				_ = c.Close()
				return
			}
			asked.Add(1)
			in, to = br, req.Host
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			_ = c.Close()
			return
		}
		mu.Lock()
		open = append(open, c, far)
		mu.Unlock()
		wg.Go(func() { _, _ = io.Copy(wire{far, silent}, in); _ = far.Close() })
		wg.Go(func() { _, _ = io.Copy(wire{c, silent}, far); _ = c.Close() })
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			pass(c)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String(), asked
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// A link whose other end is gone without a word is noticed, and comes back.
func TestSilentLinkIsNoticed(t *testing.T) {
	t.Parallel()
	a, b, c := hub(t, "a"), hub(t, "b"), leaf("c", topology.TransportTLS, "a")
	listen := a.Link.Advertise
	var silent atomic.Bool
	a.Link.Advertise.Gateway, _ = relay(t, listen.Gateway, &silent)
	a.Link.Advertise.Leafnode, _ = relay(t, listen.Leafnode, &silent)
	w := newWorld(t, a, b, c)
	fast := func(cfg *node.Config) {
		cfg.PingInterval = 200 * time.Millisecond
		if cfg.View.Me.ID == "a" {
			cfg.Listen.Gateway, cfg.Listen.Leafnode = listen.Gateway, listen.Leafnode
		}
	}
	w.run("a", fast)
	rb, rc := w.run("b", fast), w.run("c", fast)
	rb.up()
	rc.up()
	down := func(n *running, peer topology.StampID) func() bool {
		return func() bool {
			for _, l := range n.Links() {
				if l.Peer == peer {
					return !l.Up
				}
			}
			return false
		}
	}
	silent.Store(true)
	require.Eventually(t, down(rb, "a"), long, time.Millisecond)
	require.Eventually(t, down(rc, "a"), long, time.Millisecond)
	silent.Store(false)
	rb.up()
	rc.up()
}

func TestLeafGoesThroughProxy(t *testing.T) {
	t.Parallel()
	c := leaf("c", topology.TransportWSS, "a")
	w := newWorld(t, hub(t, "a"), c)
	var never atomic.Bool
	proxy, asked := relay(t, "", &never)
	c.Link.Proxy = &topology.Proxy{
		URL:             &url.URL{Scheme: "http", Host: proxy},
		CredentialsFile: w.write(w.dir, "proxy", []byte("me:secret\n")),
	}
	a := w.run("a")
	n := w.run("c")
	n.up()
	reaches(t, a.fed(), "rw.v1.ev.c.a.k", subscribe(t, n.fed(), "rw.v1.*.c.>"))
	require.Positive(t, asked.Load())
}
