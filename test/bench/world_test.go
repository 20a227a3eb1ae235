package bench_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/federation"
	"github.com/ringway/ringway/topology"
)

// The stamps of a world: two hubs, so that an event passes a local server, a
// link server, a gateway link with mutual TLS, a link server and a local
// server.
const (
	from topology.StampID = "control"
	to   topology.StampID = "plane"
)

const worldYAML = `
apiVersion: ringway/v1
kind: Topology
name: bench
geos: [eu, us]
rings: [dev]
stamps:
  - name: control
    geo: eu
    ring: dev
    roles: [control]
    link: {kind: hub, advertise: {gateway: "control.example:7222", leafnode: "control.example:7422"}}
  - name: plane
    geo: us
    ring: dev
    trusted: true
    link: {kind: hub, advertise: {gateway: "plane.example:7222", leafnode: "plane.example:7422"}}
controlPlanes: [{name: keptn, stamp: control}]
stages: [{name: dev, ring: dev, stamps: [plane]}]
`

// A world is two whole gateways with the options that ship by default.
type world struct {
	tb  testing.TB
	dir string
	fed *federation.Federation
}

// newWorld starts a world whose links are those of board and waits until they
// are up. wide lets all of account FED cross the links, which streams that
// source from each other need and which the shipped permissions do not allow.
func newWorld(tb testing.TB, board board, wide bool) *world {
	tb.Helper()
	return newWorldOf(tb, worldYAML, board, wide)
}

// newWorldOf is newWorld of another topology.
func newWorldOf(tb testing.TB, topologyYAML string, board board, wide bool) *world {
	tb.Helper()
	w := &world{tb: tb, dir: tb.TempDir()}
	var err error
	w.fed, err = federation.New(federation.Config{
		Topology: []byte(topologyYAML), Dir: w.dir, Board: board, Options: board.listen,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	require.NoError(tb, err)
	if wide {
		for _, s := range w.fed.Stamps() {
			w.widen(s.ID)
		}
	}
	tb.Cleanup(func() { require.NoError(tb, w.fed.Close()) })
	require.NoError(tb, w.fed.Start(tb.Context()))
	w.linked()
	return w
}

func (w *world) linked() {
	w.tb.Helper()
	require.Eventually(w.tb, w.up, 30*time.Second, 5*time.Millisecond, "links do not come up")
}

// up reports whether every link is up.
func (w *world) up() bool {
	for _, s := range w.fed.Stamps() {
		for _, l := range s.Gateway().Status().Links {
			if !l.Up {
				return false
			}
		}
	}
	return true
}

func (w *world) identity(stamp topology.StampID, file string) string {
	for _, s := range w.fed.Stamps() {
		if s.ID == stamp {
			return filepath.Join(w.dir, "identity", string(stamp), file)
		}
	}
	require.Fail(w.tb, "no such stamp", stamp)
	return ""
}

// widen changes what the users of links may do: everything in FED.
func (w *world) widen(stamp topology.StampID) {
	w.tb.Helper()
	file := w.identity(stamp, "fed.jwt")
	fed := w.account(stamp, "FED")
	for key, scope := range fed.SigningKeys {
		if s, ok := scope.(*jwt.UserScope); ok && s.Role == "link" {
			s.Template.Permissions = jwt.Permissions{}
			fed.SigningKeys[key] = s
		}
	}
	text, err := os.ReadFile(w.identity(stamp, "operator.jwt"))
	require.NoError(w.tb, err)
	op, err := jwt.DecodeOperatorClaims(strings.TrimSpace(string(text)))
	require.NoError(w.tb, err)
	token, err := fed.Encode(w.key(op.SigningKeys[0]))
	require.NoError(w.tb, err)
	require.NoError(w.tb, os.WriteFile(file, []byte(token), 0o600))
}

// account reads the claims of one of a stamp's accounts.
func (w *world) account(stamp topology.StampID, name string) *jwt.AccountClaims {
	w.tb.Helper()
	text, err := os.ReadFile(w.identity(stamp, strings.ToLower(name)+".jwt"))
	require.NoError(w.tb, err)
	c, err := jwt.DecodeAccountClaims(strings.TrimSpace(string(text)))
	require.NoError(w.tb, err)
	return c
}

// mint makes a user of account FED or RELAY without restrictions, for clients
// of the benchmarks.
func (w *world) mint(account string, stamp topology.StampID) (token string, seed []byte) {
	w.tb.Helper()
	user, err := nkeys.CreateUser()
	require.NoError(w.tb, err)
	pub, err := user.PublicKey()
	require.NoError(w.tb, err)
	c := jwt.NewUserClaims(pub)
	c.Name = "bench"
	token, err = c.Encode(w.key(w.account(stamp, account).Subject))
	require.NoError(w.tb, err)
	seed, err = user.Seed()
	require.NoError(w.tb, err)
	return token, seed
}

// key returns a key pair of the key store.
func (w *world) key(pub string) nkeys.KeyPair {
	w.tb.Helper()
	seed, err := os.ReadFile(filepath.Join(w.dir, "keys", "keys", pub[:1], pub[1:3], pub+".nk"))
	require.NoError(w.tb, err)
	k, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
	require.NoError(w.tb, err)
	return k
}

// client connects as Keptn's programs do: over TCP, without credentials.
func (w *world) client(stamp topology.StampID) *nats.Conn { return w.connect(stamp) }

// inside connects over TCP to account FED or RELAY.
func (w *world) inside(account string, stamp topology.StampID) *nats.Conn {
	w.tb.Helper()
	token, seed := w.mint(account, stamp)
	return w.connect(stamp, nats.UserJWTAndSeed(token, string(seed)))
}

func (w *world) connect(stamp topology.StampID, opts ...nats.Option) *nats.Conn {
	w.tb.Helper()
	nc, err := nats.Connect(w.fed.Stamp(stamp).URL(), append(opts, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		fmt.Fprintln(os.Stderr, "client:", err)
	}))...)
	require.NoError(w.tb, err)
	w.tb.Cleanup(nc.Close)
	return nc
}
