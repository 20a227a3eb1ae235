package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect returns a connection to the local server that uses no socket. One of
// opts says who it is, such as nats.UserJWTAndSeed or nats.UserCredentialBytes;
// the user's JWT must allow type IN_PROCESS. The connection is the caller's,
// who closes it before the Node stops.
func (n *Node) Connect(name string, opts ...nats.Option) (*nats.Conn, error) {
	return connect(name, pipes{n.running}, opts)
}

// ConnectLink is Connect for what crosses links and is stored nowhere in the
// stamp: account FED without JetStream, at the server nearest to the links. That
// is the link server of a hub, and the local server of a leaf stamp. It comes
// back by itself after RestartLink, and is not connected meanwhile.
func (n *Node) ConnectLink(name string, opts ...nats.Option) (*nats.Conn, error) {
	if n.current().hub() {
		return connect(name, pipes{n.runningLink}, opts)
	}
	return n.Connect(name, opts...)
}

func connect(name string, to pipes, opts []nats.Option) (*nats.Conn, error) {
	if to.server() == nil {
		return nil, fmt.Errorf("connect %s: %w", name, ErrNotRunning)
	}
	all := []nats.Option{
		nats.InProcessServer(to), nats.Name(name),
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond),
		nats.Timeout(patience), // there is no network in between, only a busy machine
	}
	all = append(all, opts...)
	for until := time.Now().Add(patience); ; {
		nc, err := nats.Connect("", all...)
		if err == nil {
			return nc, nil
		}
		if time.Now().After(until) || !transient(err) {
			return nil, fmt.Errorf("connect %s: %w", name, err)
		}
	}
}

// transient reports whether a connection that was not made may be made the next
// time: on a busy machine a server takes its client for idle in the middle of the
// greeting and pings it, which the client does not expect, or has waited for its
// CONNECT for too long, and closes the pipe.
func transient(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, io.ErrClosedPipe) ||
		strings.Contains(err.Error(), "got 'PING'") || strings.Contains(err.Error(), "Authentication Timeout")
}

// patience is how long a connection within the process may take, in all.
const patience = 10 * time.Second

// Interest reports whether a client of the stamp, at the local server or at an
// external NATS, subscribes to subject. It asks account DELIVER: our own
// capture has a share in APP, not in DELIVER. It costs some hundred
// nanoseconds and is false while the Node does not run.
func (n *Node) Interest(subject string) bool {
	acc := n.deliver.Load()
	return acc != nil && acc.Interest(subject) > 0
}

// pipes makes in-process connections whose refusal shows at once. A client
// writes CONNECT and then PING. A server that refuses the first does not read
// the second, and answers over a pipe that holds nothing: both would write,
// and neither read, until the server's write deadline.
type pipes struct {
	server func() *engine // the one that runs now, or nil
}

// InProcessConn returns the client's end of a new pipe.
func (p pipes) InProcessConn() (net.Conn, error) {
	e := p.server()
	if e == nil {
		return nil, ErrNotRunning
	}
	c, err := e.InProcessConn()
	if err != nil {
		return nil, err
	}
	return &greetingConn{Conn: c}, nil
}

// A greetingConn writes the CONNECT that it is given together with what comes
// next. Like that of any connection, its Write is called by one goroutine at a
// time.
type greetingConn struct {
	net.Conn
	greeting []byte // held back
	greeted  bool
}

// Write writes b, or holds it back if it is the greeting.
func (c *greetingConn) Write(b []byte) (int, error) {
	if c.greeted {
		return c.Conn.Write(b)
	}
	if c.greeting == nil && bytes.HasPrefix(b, []byte("CONNECT ")) {
		c.greeting = bytes.Clone(b)
		return len(b), nil
	}
	held := c.greeting
	c.greeting, c.greeted = nil, true
	n, err := c.Conn.Write(append(held, b...))
	return max(0, n-len(held)), err
}
