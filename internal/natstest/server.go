package natstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// A Server is one NATS server with JetStream and without accounts.
type Server struct {
	*server.Server
	t testing.TB
}

// Start starts a server that ends with the test. Each of edit may change its
// options before it starts.
func Start(t testing.TB, edit ...func(*server.Options)) *Server {
	t.Helper()
	opts := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, ServerName: "test",
		JetStream: true, StoreDir: t.TempDir(),
		NoSigs: true, NoLog: true,
	}
	for _, f := range edit {
		f(opts)
	}
	srv, err := server.NewServer(opts)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	require.True(t, srv.ReadyForConnections(10*time.Second))
	return &Server{Server: srv, t: t}
}

// URL is where clients connect.
func (s *Server) URL() string { return s.ClientURL() }

// Connect returns a connection that ends with the test.
func (s *Server) Connect(opts ...nats.Option) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.ClientURL(), opts...)
	require.NoError(s.t, err)
	s.t.Cleanup(nc.Close)
	return nc
}

// JetStream returns the JetStream of a connection of its own.
func (s *Server) JetStream() jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.Connect())
	require.NoError(s.t, err)
	return js
}
