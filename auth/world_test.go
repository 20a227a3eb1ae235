package auth_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

// threeStamps has a control plane on a hub, an execution stamp on a leaf, and
// one beside a NATS of its own.
const threeStamps = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev, prod]
stamps:
  - name: hub
    geo: eu
    ring: dev
    roles: [control]
    link: { kind: hub, advertise: { gateway: "hub.example.com:7222", leafnode: "[2001:db8::1]:7422", websocket: "ws.example.com:443" } }
    clients: { sources: [127.0.0.0/8] }
  - { name: x, geo: eu, ring: dev, clients: { sources: [127.0.0.0/8] } }
  - { name: z, geo: eu, ring: prod, clients: { mode: external, url: "nats://nats:4222", leafnode: "nats-leaf://nats:7422" } }
controlPlanes: [{ name: keptn, stamp: hub }]
stages: [{ name: dev, ring: dev }, { name: prod, ring: prod }]
routes: [{ name: metrics, subject: "metrics.>", from: { stamps: [x] }, to: { stamps: [hub] } }]
`

// A world is a federation whose keys are at hand.
type world struct {
	t         testing.TB
	mesh      *topology.Mesh
	now       time.Time
	operator  string
	shared    auth.Keys // without those of a stamp
	authority *auth.Authority
	stamps    map[topology.StampID]*auth.Keys
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, mesh: compile(t, threeStamps), now: time.Now().Add(-time.Minute),
		shared: auth.Keys{
			Operator: pair(t, nkeys.PrefixByteOperator), Sys: pair(t, nkeys.PrefixByteAccount), Fed: pair(t, nkeys.PrefixByteAccount),
			Link: pair(t, nkeys.PrefixByteAccount), Bridge: pair(t, nkeys.PrefixByteAccount),
		},
		stamps: map[topology.StampID]*auth.Keys{},
	}
	var err error
	w.operator, err = auth.Operator("test", pair(t, nkeys.PrefixByteOperator), public(t, w.shared.Operator), public(t, w.shared.Sys), w.now)
	require.NoError(t, err)
	w.authority = authority(t, w.now)
	return w
}

func authority(t testing.TB, now time.Time) *auth.Authority {
	t.Helper()
	cert, key, err := auth.NewAuthority("test", rand.Reader, now)
	require.NoError(t, err)
	a, err := auth.ParseAuthority(cert, key)
	require.NoError(t, err)
	return a
}

func compile(t testing.TB, text string) *topology.Mesh {
	t.Helper()
	spec, err := topology.Load("topology.yaml", []byte(text))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	return mesh
}

func (w *world) view(id topology.StampID) *topology.View {
	w.t.Helper()
	v, ok := w.mesh.View(id)
	require.True(w.t, ok)
	return v
}

// keys returns the keys of a stamp, which are made once.
func (w *world) keys(id topology.StampID) *auth.Keys {
	w.t.Helper()
	if k := w.stamps[id]; k != nil {
		return k
	}
	k := w.shared
	for _, to := range []*nkeys.KeyPair{&k.App, &k.Relay, &k.Deliver, &k.AppUsers, &k.RelayUsers, &k.DeliverUsers} {
		*to = pair(w.t, nkeys.PrefixByteAccount)
	}
	k.LeafUser, k.BridgeUser = pair(w.t, nkeys.PrefixByteUser), pair(w.t, nkeys.PrefixByteUser)
	w.stamps[id] = &k
	return &k
}

func (w *world) order(id topology.StampID) auth.Order {
	w.t.Helper()
	return auth.Order{
		Federation: "test", Operator: w.operator, Stamp: w.view(id).Me, Keys: *w.keys(id),
		Authority: w.authority, Random: rand.Reader, Now: w.now,
	}
}

func (w *world) issue(o auth.Order) *auth.Folder {
	w.t.Helper()
	f, err := auth.Issue(o)
	require.NoError(w.t, err)
	return f
}

func (w *world) folder(id topology.StampID) *auth.Folder { return w.issue(w.order(id)) }

func (w *world) sentinel(f *auth.Folder) string {
	w.t.Helper()
	s, err := f.Sentinel(w.view(f.Stamp))
	require.NoError(w.t, err)
	return s
}

func pair(t testing.TB, kind nkeys.PrefixByte) nkeys.KeyPair {
	t.Helper()
	k, err := nkeys.CreatePairWithRand(kind, rand.Reader)
	require.NoError(t, err)
	return k
}

func public(t testing.TB, k nkeys.KeyPair) string {
	t.Helper()
	p, err := k.PublicKey()
	require.NoError(t, err)
	return p
}

// root returns credentials of a user without limits, signed by an account.
func (w *world) root(account nkeys.KeyPair) []byte {
	w.t.Helper()
	user := pair(w.t, nkeys.PrefixByteUser)
	token, err := jwt.NewUserClaims(public(w.t, user)).Encode(account)
	require.NoError(w.t, err)
	seed, err := user.Seed()
	require.NoError(w.t, err)
	creds, err := jwt.FormatUserConfig(token, seed)
	require.NoError(w.t, err)
	return creds
}
