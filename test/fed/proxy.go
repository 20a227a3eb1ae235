package fed

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Proxy is an HTTP proxy that knows CONNECT alone, and asks for a user and a
// password. It is safe for concurrent use.
type Proxy struct {
	listener       net.Listener
	user, password string

	wg      sync.WaitGroup
	mu      sync.Mutex // guards the fields below
	open    map[net.Conn]bool
	tunnels int
	refused int
}

// NewProxy starts a proxy that ends with the test.
func NewProxy(t testing.TB, user, password string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{listener: l, user: user, password: password, open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL is where the proxy is.
func (p *Proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Count returns how many tunnels the proxy made, and how many it refused for
// want of the password.
func (p *Proxy) Count() (tunnels, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tunnels, p.refused
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

// keep remembers a connection, so that close ends it.
func (p *Proxy) keep(c net.Conn) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
		_ = c.Close() // it is over, one way or another
	}
}

func (p *Proxy) serve(c net.Conn) {
	defer p.keep(c)()
	_ = c.SetDeadline(time.Now().Add(Patience))
	in := bufio.NewReader(c)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	answer := func(status string) { _, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\n\r\n") }
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password))
	switch {
	case req.Method != http.MethodConnect:
		answer("405 Method Not Allowed\r\nContent-Length: 0")
		return
	case req.Header.Get("Proxy-Authorization") != want:
		p.count(&p.refused)
		answer("407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0")
		return
	}
	far, err := net.DialTimeout("tcp", req.Host, Patience)
	if err != nil {
		answer("502 Bad Gateway\r\nContent-Length: 0")
		return
	}
	defer p.keep(far)()
	p.count(&p.tunnels)
	answer("200 Connection established")
	_ = c.SetDeadline(time.Time{})
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(far, in); _ = far.Close() })
	both.Go(func() { _, _ = io.Copy(c, far); _ = c.Close() })
	both.Wait()
}

func (p *Proxy) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
