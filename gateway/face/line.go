package face

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
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
	deaf    atomic.Bool
	closing *sync.WaitGroup
	once    sync.Once
}

// Read implements net.Conn.
func (l *line) Read(b []byte) (int, error) {
	if l.deaf.Load() {
		return 0, io.EOF
	}
	return l.Conn.Read(b) //nolint:wrapcheck // it stands for the other
}

// Close implements net.Conn. A deaf line is closed when the client has seen the
// answer.
func (l *line) Close() error {
	tcp, ok := l.Conn.(*net.TCPConn)
	if !ok || !l.deaf.Load() || tcp.CloseWrite() != nil {
		return l.Conn.Close() //nolint:wrapcheck // it stands for the other
	}
	l.once.Do(func() {
		l.closing.Go(func() {
			_ = tcp.SetReadDeadline(time.Now().Add(lingerTime)) // without one, lingerMax bounds it
			_, _ = io.CopyN(io.Discard, tcp, lingerMax)
			_ = tcp.Close()
		})
	})
	return nil
}

// lines makes lines of the connections of a listener.
type lines struct {
	net.Listener
	closing *sync.WaitGroup
}

// Accept implements net.Listener.
func (l *lines) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // it stands for the other
	}
	return &line{Conn: c, closing: l.closing}, nil
}

type lineKey struct{}

// withLine is an http.Server.ConnContext.
func withLine(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, lineKey{}, c)
}
