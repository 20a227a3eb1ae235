package auth_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
)

type options = server.Options

// A host is a real server that knows the accounts of one folder.
type host struct {
	*server.Server
	t   testing.TB
	log *journal
}

// start starts a server that ends with the test.
func start(t testing.TB, f *auth.Folder, edit ...func(*options)) *host {
	t.Helper()
	op, err := jwt.DecodeOperatorClaims(f.Operator)
	require.NoError(t, err)
	resolver := &server.MemAccResolver{}
	for _, token := range []string{f.Sys, f.Fed, f.App, f.Relay, f.Deliver} {
		require.NoError(t, resolver.Store(subject(t, token), token))
	}
	o := &options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, ServerName: string(f.Stamp), NoSigs: true,
		TrustedOperators: []*jwt.OperatorClaims{op}, AccountResolver: resolver, SystemAccount: op.SystemAccount,
	}
	for _, e := range edit {
		e(o)
	}
	return run(t, o)
}

func run(t testing.TB, o *options) *host {
	t.Helper()
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	h := &host{Server: srv, t: t, log: &journal{}}
	srv.SetLoggerV2(h.log, true, false, false)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(10*time.Second))
	return h
}

func jetStream(t testing.TB) func(*options) {
	return func(o *options) {
		o.JetStream, o.JetStreamDomain, o.StoreDir = true, o.ServerName, t.TempDir()
	}
}

func subject(t testing.TB, token string) string {
	t.Helper()
	c, err := jwt.Decode(token)
	require.NoError(t, err)
	return c.Claims().Subject
}

// connect returns a connection that ends with the test. Without creds it is
// one of a client without credentials.
func (h *host) connect(creds []byte, opts ...nats.Option) *nats.Conn {
	h.t.Helper()
	nc, err := h.dial(h.ClientURL(), creds, opts...)
	require.NoError(h.t, err)
	return nc
}

// inside returns a connection in process.
func (h *host) inside(creds []byte, opts ...nats.Option) *nats.Conn {
	h.t.Helper()
	return h.connect(creds, append(opts, nats.InProcessServer(h.Server))...)
}

func (h *host) dial(url string, creds []byte, opts ...nats.Option) (*nats.Conn, error) {
	h.t.Helper()
	opts = append(opts, nats.NoReconnect())
	if creds != nil {
		opts = append(opts, nats.UserCredentialBytes(creds))
	}
	nc, err := nats.Connect(url, opts...)
	if err == nil {
		h.t.Cleanup(nc.Close)
	}
	return nc, err
}

// turnsAway wants the server to refuse a connection. The client may see that it
// was closed before it reads why, so the server is asked.
func (h *host) turnsAway(url string, creds []byte, opts ...nats.Option) {
	h.t.Helper()
	count := func() (n int) {
		for _, line := range h.log.all() {
			if strings.Contains(line, "authentication error") {
				n++
			}
		}
		return n
	}
	before := count()
	_, err := h.dial(url, creds, opts...)
	require.Error(h.t, err)
	require.Eventually(h.t, func() bool { return count() > before }, 10*time.Second, time.Millisecond)
}

// refusals is an option and what a connection that has it was refused.
func refusals() (nats.Option, <-chan error) {
	ch := make(chan error, 16)
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { ch <- err }), ch
}

// refused waits for the next refusal and wants it to name subject.
func refused(t testing.TB, ch <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-ch:
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
		require.ErrorContains(t, err, `"`+subject+`"`)
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing was refused", subject)
	}
}

// A journal keeps what a server logs.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, v ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, v...))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines...)
}

func (j *journal) Noticef(f string, v ...any) { j.add(f, v...) }
func (j *journal) Warnf(f string, v ...any)   { j.add(f, v...) }
func (j *journal) Fatalf(f string, v ...any)  { j.add(f, v...) }
func (j *journal) Errorf(f string, v ...any)  { j.add(f, v...) }
func (j *journal) Debugf(f string, v ...any)  { j.add(f, v...) }
func (j *journal) Tracef(f string, v ...any)  { j.add(f, v...) }
