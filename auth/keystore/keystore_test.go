package keystore_test

import (
	"crypto/rand"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/topology"
)

const twoStamps = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - { name: hub, geo: eu, ring: dev, roles: [control], link: { kind: hub, advertise: { gateway: "hub.example.com:7222", leafnode: "hub.example.com:7422" } } }
  - { name: x, geo: eu, ring: dev }
controlPlanes: [{ name: keptn, stamp: hub }]
stages: [{ name: dev, ring: dev }]
`

// A store is a key store and what it is asked with.
type store struct {
	*keystore.Store
	t    testing.TB
	dir  string
	mesh *topology.Mesh
	now  time.Time
}

func newStore(t testing.TB, ca *keystore.CA) *store {
	t.Helper()
	spec, err := topology.Load("topology.yaml", []byte(twoStamps))
	require.NoError(t, err)
	mesh, err := topology.Compile(spec)
	require.NoError(t, err)
	s := &store{t: t, dir: filepath.Join(t.TempDir(), "keys"), mesh: mesh, now: time.Now()}
	s.Store, err = keystore.Init(s.dir, "test", s.now, ca)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *store) reopen() {
	s.t.Helper()
	require.NoError(s.t, s.Close())
	var err error
	s.Store, err = keystore.Open(s.dir)
	require.NoError(s.t, err)
}

func (s *store) issue(id topology.StampID) *auth.Folder {
	s.t.Helper()
	f, err := s.IssueFolder(s.mesh, id, s.now)
	require.NoError(s.t, err)
	return f
}

// files returns what is below the store by path.
func (s *store) files() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	require.NoError(s.t, filepath.WalkDir(s.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(s.dir, p)
		out[rel] = string(b)
		return err
	}))
	return out
}

func TestIssuingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	hub, x := s.issue("hub"), s.issue("x")
	require.Equal(t, hub.Fed, x.Fed, "one account for all")
	require.NotEqual(t, hub.App, x.App)
	before := s.files()

	s.reopen()
	s.now = s.now.Add(30 * 24 * time.Hour)
	require.Equal(t, hub.Files(), s.issue("hub").Files())
	require.Equal(t, x.Files(), s.issue("x").Files())
	require.Equal(t, before, s.files())
}

func TestIssueRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	_, err := s.IssueFolder(s.mesh, "nowhere", s.now)
	require.EqualError(t, err, "issue folder of stamp nowhere: the topology does not have it")
	other := *s.mesh
	other.Name = "other"
	_, err = s.IssueFolder(&other, "x", s.now)
	require.EqualError(t, err, "issue folder of stamp x: the store is of federation test, the topology of other")
}

func TestIdentityOfTheOperatorMayBeAway(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	op := s.operator()
	require.NoError(t, os.Remove(s.seed(op.Subject)))
	s.reopen()
	s.issue("x")
	require.NoError(t, s.Revoke("x", s.now))

	require.NoError(t, os.Remove(s.seed(op.SigningKeys[0])))
	_, err := s.IssueFolder(s.mesh, "hub", s.now)
	require.ErrorIs(t, err, keystore.ErrNoKey)
}

func (s *store) operator() *jwt.OperatorClaims {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "stores", "test", "test.jwt"))
	require.NoError(s.t, err)
	op, err := jwt.DecodeOperatorClaims(string(b))
	require.NoError(s.t, err)
	return op
}

// seed returns the file of a key, as nsc names it.
func (s *store) seed(pub string) string {
	return filepath.Join(s.dir, "keys", pub[:1], pub[1:3], pub+".nk")
}

func TestLayoutIsThatOfNSC(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	f := s.issue("hub")
	files := s.files()
	var got []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(name, "keys/") {
			got = append(got, name)
		}
	}
	require.Equal(t, []string{
		"LOCK", "ca/ca.crt", "ca/ca.key",
		"certs/hub/gateway.crt", "certs/hub/gateway.key", "certs/hub/link.crt", "certs/hub/link.key", "certs/hub/peer.crt", "certs/hub/peer.key",
		"creds/test/SYS/admin.creds",
		"stores/test/.nsc",
		"stores/test/accounts/APP-hub/APP-hub.jwt",
		"stores/test/accounts/DELIVER-hub/DELIVER-hub.jwt",
		"stores/test/accounts/FED/FED.jwt",
		"stores/test/accounts/FED/users/hub.bridge.jwt",
		"stores/test/accounts/FED/users/hub.leaf.jwt",
		"stores/test/accounts/RELAY-hub/RELAY-hub.jwt",
		"stores/test/accounts/SYS/SYS.jwt",
		"stores/test/test.jwt",
	}, got)
	require.JSONEq(t, `{"managed":false,"name":"test","kind":"operator","version":"1"}`, files["stores/test/.nsc"])
	c, err := jwt.DecodeAccountClaims(f.App)
	require.NoError(t, err)
	require.FileExists(t, s.seed(c.Subject))
	require.Equal(t, string(f.AppSeed), files["keys/A/"+c.SigningKeys.Keys()[0][1:3]+"/"+c.SigningKeys.Keys()[0]+".nk"])
}

func TestNobodyElseMayRead(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	f := s.issue("hub")
	out := filepath.Join(s.dir, "..", "out")
	require.NoError(t, os.Mkdir(out, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(out, auth.FileLeafCreds), f.LeafCreds, 0o644))
	require.NoError(t, keystore.WriteFolder(out, f))
	for _, dir := range []string{s.dir, out} {
		require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			}
			require.Equal(t, want, info.Mode().Perm(), p)
			return nil
		}))
	}
}

func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	_, err := keystore.Open(s.dir)
	require.ErrorIs(t, err, keystore.ErrLocked)
	_, err = keystore.Init(s.dir, "test", s.now, nil)
	require.ErrorIs(t, err, keystore.ErrLocked)
	s.reopen()
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	before := s.files()
	require.NoError(t, s.Close())
	_, err := keystore.Init(s.dir, "test", s.now, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, before, s.files())
	for _, name := range []string{"", "../x", ".x", `a\b`} {
		_, err := keystore.Init(t.TempDir(), name, s.now, nil)
		require.ErrorContains(t, err, "can not be the name of a directory")
	}
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "nothing")} {
		_, err := keystore.Open(dir)
		require.ErrorIs(t, err, keystore.ErrNoStore)
	}
}

func TestInitGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	ca := s.files()["ca/ca.crt"]
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(s.dir, "stores", "test", "test.jwt")))
	var err error
	s.Store, err = keystore.Init(s.dir, "test", s.now, nil)
	require.NoError(t, err)
	s.issue("hub")
	require.Equal(t, ca, s.files()["ca/ca.crt"])
}

func TestRevokedStampNeedsRenewal(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	require.ErrorContains(t, s.Revoke("x", s.now), "it was never issued a folder")
	first := s.issue("x")
	require.NoError(t, s.Renew("x"))
	second := s.issue("x")
	require.Equal(t, first.App, second.App, "accounts stay")
	require.NotEqual(t, user(t, first.LeafCreds).Subject, user(t, second.LeafCreds).Subject)

	require.NoError(t, s.Revoke("x", s.now))
	_, err := s.IssueFolder(s.mesh, "x", s.now)
	require.ErrorIs(t, err, keystore.ErrRevoked)
	hub := s.issue("hub")
	for _, creds := range [][]byte{first.LeafCreds, first.FedCreds, second.LeafCreds, second.FedCreds} {
		require.True(t, auth.Revoked(hub.Fed, user(t, creds).Subject))
	}
	require.False(t, auth.Revoked(hub.Fed, user(t, hub.LeafCreds).Subject))

	require.NoError(t, s.Renew("x"))
	third := s.issue("x")
	require.Equal(t, hub.Fed, third.Fed)
	require.False(t, auth.Revoked(third.Fed, user(t, third.LeafCreds).Subject))
	issued, err := s.Issued()
	require.NoError(t, err)
	require.Equal(t, []topology.StampID{"hub", "x"}, issued)
}

func user(t testing.TB, creds []byte) *jwt.UserClaims {
	t.Helper()
	token, err := jwt.ParseDecoratedJWT(creds)
	require.NoError(t, err)
	c, err := jwt.DecodeUserClaims(token)
	require.NoError(t, err)
	return c
}

func TestCertificatesAreBroughtAlong(t *testing.T) {
	t.Parallel()
	other := newStore(t, nil)
	hub := other.issue("hub")
	s := newStore(t, &keystore.CA{Cert: hub.CA})
	_, err := s.IssueFolder(s.mesh, "hub", s.now)
	require.ErrorIs(t, err, auth.ErrNoAuthorityKey)
	dir := filepath.Join(s.dir, "certs", "hub")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for name, b := range hub.Files() {
		if strings.HasPrefix(name, "gateway.") || strings.HasPrefix(name, "link.") {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
	}
	require.Equal(t, hub.GatewayCert, s.issue("hub").GatewayCert)
	require.NoError(t, s.Renew("hub"))
	require.Equal(t, hub.GatewayCert, s.issue("hub").GatewayCert, "nobody here could make others")
}

func TestCAIsReplaced(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	first := s.issue("hub")
	cert, key, err := auth.NewAuthority("test", rand.Reader, s.now)
	require.NoError(t, err)
	require.Error(t, s.UseCA(&keystore.CA{Cert: first.CA, Key: key}))
	require.NoError(t, s.UseCA(&keystore.CA{Cert: slices.Concat(first.CA, cert), Key: key}))
	second := s.issue("hub")
	require.NotEqual(t, first.LinkCert, second.LinkCert)
	require.Equal(t, string(slices.Concat(first.CA, cert)), string(second.CA))
}

func TestFolderIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	dir := filepath.Join(t.TempDir(), "id")
	hub := s.issue("hub")
	require.NoError(t, keystore.WriteFolder(dir, hub))
	got, err := keystore.ReadFolder(dir)
	require.NoError(t, err)
	require.Equal(t, hub, got)

	leaf := s.issue("x")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "note.txt"), nil, 0o600))
	require.NoError(t, keystore.WriteFolder(dir, leaf))
	require.NoFileExists(t, filepath.Join(dir, auth.FileGatewayKey))
	require.FileExists(t, filepath.Join(dir, "note.txt"))
	got, err = keystore.ReadFolder(dir)
	require.NoError(t, err)
	require.Equal(t, leaf, got)

	_, err = keystore.ReadFolder(filepath.Join(dir, "nothing"))
	require.ErrorContains(t, err, "identity has no")
}

func TestFolderThatIsTheSameIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	dir := t.TempDir()
	f := s.issue("x")
	require.NoError(t, keystore.WriteFolder(dir, f))
	old := time.Unix(1, 0)
	for name := range f.Files() {
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	require.NoError(t, keystore.WriteFolder(dir, f))
	for name := range f.Files() {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, old.Unix(), info.ModTime().Unix(), name)
	}
}

func TestAdminIsOfTheSystemAccount(t *testing.T) {
	t.Parallel()
	s := newStore(t, nil)
	b, err := os.ReadFile(filepath.Join(s.dir, "creds", "test", "SYS", "admin.creds"))
	require.NoError(t, err)
	require.Equal(t, s.operator().SystemAccount, user(t, b).Issuer)
}
