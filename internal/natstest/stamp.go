package natstest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// stampConf is one local server with the accounts of a stamp, told apart by
// user name instead of JWTs.
const stampConf = `
listen: "127.0.0.1:-1"
server_name: stamp
jetstream { store_dir: %q, domain: stamp }
no_sys_acc: true
accounts {
  APP { jetstream: enabled, users: [{user: app, password: x}]
        exports: [{stream: ">"}], imports: [{stream: {account: DELIVER, subject: ">"}}] }
  RELAY { jetstream: enabled, users: [{user: relay, password: x}]
        imports: [{stream: {account: APP, subject: ">"}, to: "cap.>"}] }
  DELIVER { users: [{user: deliver, password: x}], exports: [{stream: ">"}] }
  FED { jetstream: enabled, users: [{user: fed, password: x}] }
}
`

// A Stamp is a local server with the accounts APP, RELAY, DELIVER and FED.
type Stamp struct {
	t   testing.TB
	srv *server.Server
}

// StartStamp starts a local server that ends with the test.
func StartStamp(t testing.TB) *Stamp { return StartStampWith(t, "") }

// StartStampWith is StartStamp with more lines of configuration.
func StartStampWith(t testing.TB, lines string) *Stamp {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "server.conf")
	require.NoError(t, os.WriteFile(conf, []byte(fmt.Sprintf(stampConf, filepath.Join(dir, "js"))+lines), 0o600))
	opts, err := server.ProcessConfigFile(conf)
	require.NoError(t, err)
	opts.NoSigs, opts.NoLog = true, true
	srv, err := server.NewServer(opts)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(10*time.Second))
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	return &Stamp{t: t, srv: srv}
}

// Connect returns a connection of account app, relay, deliver or fed that ends
// with the test.
func (s *Stamp) Connect(account string) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.srv.ClientURL(), nats.UserInfo(account, "x"))
	require.NoError(s.t, err)
	s.t.Cleanup(nc.Close)
	return nc
}

// Interest reports whether a client in APP subscribes to subject.
func (s *Stamp) Interest(subject string) bool {
	acc, err := s.srv.LookupAccount("DELIVER")
	return err == nil && acc.Interest(subject) > 0
}

// A Subscriber is a connection that subscribes in APP, and what the server has
// for it and has not written, in bytes.
type Subscriber struct {
	ID      uint64
	Pending int
}

// Subscribers returns who subscribes to subject in APP.
func (s *Stamp) Subscribers(subject string) []Subscriber {
	c, err := s.srv.Connz(&server.ConnzOptions{Account: "APP", FilterSubject: subject})
	if err != nil {
		return nil
	}
	out := make([]Subscriber, 0, len(c.Conns))
	for _, conn := range c.Conns {
		out = append(out, Subscriber{conn.Cid, conn.Pending})
	}
	return out
}

// SlowConsumers returns how many connections the server has cut off because
// too much was pending for them.
func (s *Stamp) SlowConsumers() int64 { return s.srv.NumSlowConsumers() }

// Addr returns where the server listens.
func (s *Stamp) Addr() string { return s.srv.Addr().String() }
