package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A Relay passes TCP connections on from an address of its own on the loopback
// interface, and can be cut like a cable. It is safe for concurrent use; Close
// it when done.
type Relay struct {
	listener net.Listener
	aimed    chan struct{} // closed by Forward
	stop     context.CancelFunc
	ctx      context.Context //nolint:containedctx // ends with Close, which has no caller's context to follow
	wg       sync.WaitGroup

	mu     sync.Mutex
	target string
	cut    bool
	lines  map[*line]struct{} // open connections
}

// A line is one connection through a Relay.
type line struct{ hangUp context.CancelFunc }

// OpenRelay listens. Connections wait until Forward says where they lead, so
// that addresses can be handed out before there are servers behind them.
func OpenRelay() (*Relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for relay: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Relay{listener: listener, aimed: make(chan struct{}), ctx: ctx, stop: stop, lines: map[*line]struct{}{}}
	r.wg.Go(r.accept)
	return r, nil
}

// Addr is the host:port to connect to.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Forward makes the relay lead to target, a host:port. Connections that are
// open stay where they are.
func (r *Relay) Forward(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.target == "" && target != "" {
		close(r.aimed)
	}
	r.target = target
}

// Cut resets every connection, with what is still in it, and every further
// one until Heal.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	for l := range r.lines {
		l.hangUp()
	}
}

// Heal lets connections through again.
func (r *Relay) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

// Close cuts the relay for good and returns when nothing of it is left.
func (r *Relay) Close() error {
	r.stop()
	err := r.listener.Close()
	r.wg.Wait()
	return err
}

// accept takes connections until the listener is closed.
func (r *Relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if r.ctx.Err() != nil {
			if err == nil {
				reset(conn)
			}
			return
		}
		if err != nil { // too many files, or the peer was gone already
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.ctx.Done():
			}
			continue
		}
		ctx, hangUp := context.WithCancel(r.ctx)
		l := &line{hangUp: hangUp}
		r.mu.Lock()
		refused := r.cut
		if !refused {
			r.lines[l] = struct{}{}
		}
		r.mu.Unlock()
		if refused {
			hangUp()
			reset(conn)
			continue
		}
		r.wg.Go(func() {
			r.carry(ctx, conn)
			hangUp()
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.lines, l)
		})
	}
}

// carry passes one connection on until either end closes it or ctx is
// cancelled.
func (r *Relay) carry(ctx context.Context, near net.Conn) {
	defer reset(near)
	select {
	case <-r.aimed:
	case <-ctx.Done():
		return
	}
	r.mu.Lock()
	target := r.target
	r.mu.Unlock()
	far, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer reset(far)
	ctx, ended := context.WithCancel(ctx)
	defer ended()
	var wg sync.WaitGroup
	defer wg.Wait()
	pass := func(to, from net.Conn) {
		defer ended()
		_, _ = io.Copy(to, from) // how a connection ends is its ends' business
	}
	wg.Go(func() { pass(far, near) })
	wg.Go(func() { pass(near, far) })
	<-ctx.Done()
	if r.severed() {
		reset(near)
		reset(far)
		return
	}
	_ = near.Close() // and what has been passed on before still arrives
	_ = far.Close()
}

// severed reports whether the relay is cut or closed.
func (r *Relay) severed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut || r.ctx.Err() != nil
}

// reset closes conn at once; what is unsent is thrown away and the peer sees a
// reset. It does nothing to a closed connection.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
