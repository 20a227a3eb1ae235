package face

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// drainTime and drainMax bound what is read of a body that nobody wants, so that
	// its connection can be used again.
	drainTime = 100 * time.Millisecond
	drainMax  = 256 << 10
	// lingerTime and lingerMax bound what is read of it before the connection is
	// closed: what a client has not been sent when bytes of its own are left unread is
	// lost.
	lingerTime = time.Second
	lingerMax  = 16 << 20
)

// A line is the connection of a client. After the answer to a request whose body
// was not read to its end it is deaf: what is left of the body would be taken for
// the next request.
type line struct {
	net.Conn
	deaf atomic.Bool
	from *lines

	mu     sync.Mutex // guards the following field
	closed bool
}

// Read implements net.Conn.
func (l *line) Read(b []byte) (int, error) {
	if l.deaf.Load() {
		return 0, io.EOF
	}
	return l.Conn.Read(b) //nolint:wrapcheck // it stands for the other
}

// deafen is called before the request is over that leaves something behind.
func (l *line) deafen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && !l.deaf.Swap(true) {
		l.from.lingering.Add(1) // until it is closed, which the server sees to
	}
}

// Close implements net.Conn. A deaf line is closed when the client has seen the
// answer.
func (l *line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.from.left(sourceOf(l.RemoteAddr().String()))
	if l.deaf.Load() {
		l.from.lingering.Go(l.linger)
		l.from.lingering.Done()
		return nil
	}
	return l.Conn.Close() //nolint:wrapcheck // it stands for the other
}

// linger reads on until the client closes, for some time.
func (l *line) linger() {
	if tcp, ok := l.Conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil && tcp.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, tcp, lingerMax) // what it says is of no use
	}
	_ = l.Conn.Close() // all was said
}

// lines makes lines of the connections of a listener, so many of a source: one
// client does not take all that the process may have open.
type lines struct {
	net.Listener
	lingering *sync.WaitGroup // lines that are closed in a moment
	most      int
	crowded   prometheus.Counter

	mu   sync.Mutex // guards the following field
	open map[netip.Addr]int
}

// Accept implements net.Listener.
func (l *lines) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // it stands for the other
		}
		if l.came(sourceOf(c.RemoteAddr().String())) {
			return &line{Conn: c, from: l}, nil
		}
		l.crowded.Inc()
		_ = c.Close() // nothing was said
	}
}

func (l *lines) came(source netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[source] >= l.most {
		return false
	}
	l.open[source]++
	return true
}

func (l *lines) left(source netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[source]--; l.open[source] <= 0 {
		delete(l.open, source)
	}
}

type lineKey struct{}

// withLine is an http.Server.ConnContext.
func withLine(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, lineKey{}, c)
}
