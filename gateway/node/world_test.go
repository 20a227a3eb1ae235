package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// A world is the identities of a federation, made by hand: what package auth
// does in earnest.
type world struct {
	t                   testing.TB
	dir                 string
	operator, sys, fed  nkeys.KeyPair
	linkKey, bridgeKey  nkeys.KeyPair
	operatorJWT, sysJWT string
	fedClaims           *jwt.AccountClaims
	ca                  *x509.Certificate
	caKey               *ecdsa.PrivateKey
	own                 map[topology.StampID]map[node.Account]nkeys.KeyPair
	mesh                *topology.Mesh
	serial              int64
	allow               []string // what a client without credentials may use
}

func newWorld(t testing.TB, stamps ...*topology.Stamp) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(),
		operator: pair(t, nkeys.CreateOperator), sys: pair(t, nkeys.CreateAccount), fed: pair(t, nkeys.CreateAccount),
		linkKey: pair(t, nkeys.CreateAccount), bridgeKey: pair(t, nkeys.CreateAccount),
		own:   map[topology.StampID]map[node.Account]nkeys.KeyPair{},
		mesh:  &topology.Mesh{Name: "test", Stamps: stamps},
		allow: []string{"sh.keptn.>", "_INBOX.>"},
	}
	op := jwt.NewOperatorClaims(public(t, w.operator))
	op.Name, op.SystemAccount = "test", public(t, w.sys)
	w.operatorJWT = encode(t, op, w.operator)
	w.sysJWT = encode(t, w.account("SYS", w.sys), w.operator)
	w.fedClaims = w.account("FED", w.fed)
	w.scope("link", w.linkKey, jwt.ConnectionTypeLeafnode, jwt.ConnectionTypeLeafnodeWS)
	w.scope("bridge", w.bridgeKey, jwt.ConnectionTypeInProcess)
	for _, s := range stamps {
		w.own[s.ID] = map[node.Account]nkeys.KeyPair{}
		for _, a := range []node.Account{node.APP, node.RELAY, node.DELIVER} {
			w.own[s.ID][a] = pair(t, nkeys.CreateAccount)
		}
	}
	w.caKey, w.ca = w.authority("links")
	return w
}

func (w *world) account(name string, key nkeys.KeyPair) *jwt.AccountClaims {
	c := jwt.NewAccountClaims(public(w.t, key))
	c.Name = name
	if name != "SYS" {
		c.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	return c
}

// scope adds a signing key with the permissions of a stamp by its name.
func (w *world) scope(role string, key nkeys.KeyPair, types ...string) {
	s := jwt.NewUserScope()
	s.Key, s.Role = public(w.t, key), role
	s.Template.AllowedConnectionTypes = types
	s.Template.Pub.Allow.Add("rw.v1.*.*.{{name()}}.>")
	s.Template.Sub.Allow.Add("rw.v1.*.{{name()}}.>")
	if role == "bridge" {
		s.Template.Pub.Allow.Add("$JS.API.>", "_INBOX.>")
		s.Template.Sub.Allow.Add("_INBOX.>")
	}
	w.fedClaims.SigningKeys.AddScopedSigner(s)
}

// identity writes the files of a stamp and returns what its node gets.
func (w *world) identity(s topology.StampID) node.Identity {
	dir := filepath.Join(w.dir, string(s))
	require.NoError(w.t, os.MkdirAll(dir, 0o700))
	id := node.Identity{
		Operator:  w.operatorJWT,
		Accounts:  w.accounts(s),
		Sentinel:  w.sentinel(s),
		LeafCreds: w.write(dir, "leaf.creds", w.creds(string(s), w.linkKey)),
		CA:        w.write(dir, "ca.crt", pemOf("CERTIFICATE", w.ca.Raw)),
	}
	id.GatewayCert, id.GatewayKey = w.certificate(dir, "gateway", w.ca, w.caKey)
	id.LinkCert, id.LinkKey = w.certificate(dir, "link", w.ca, w.caKey)
	id.PeerCert, id.PeerKey = w.certificate(dir, "peer", w.ca, w.caKey, auth.PeerName(s))
	return id
}

func (w *world) accounts(s topology.StampID) map[node.Account]string {
	own := w.own[s]
	app := w.account("APP", own[node.APP])
	app.Exports.Add(&jwt.Export{Name: "all", Subject: ">", Type: jwt.Stream})
	app.Imports.Add(&jwt.Import{Name: "deliver", Account: public(w.t, own[node.DELIVER]), Subject: ">", Type: jwt.Stream})
	relay := w.account("RELAY", own[node.RELAY])
	relay.Imports.Add(&jwt.Import{Name: "capture", Account: public(w.t, own[node.APP]), Subject: ">", LocalSubject: "cap.>", Type: jwt.Stream})
	deliver := w.account("DELIVER", own[node.DELIVER])
	deliver.Exports.Add(&jwt.Export{Name: "all", Subject: ">", Type: jwt.Stream})
	return map[node.Account]string{
		node.SYS: w.sysJWT, node.FED: encode(w.t, w.fedClaims, w.operator),
		node.APP: encode(w.t, app, w.operator), node.RELAY: encode(w.t, relay, w.operator), node.DELIVER: encode(w.t, deliver, w.operator),
	}
}

func (w *world) sentinel(s topology.StampID) string {
	u := jwt.NewUserClaims(public(w.t, pair(w.t, nkeys.CreateUser)))
	u.Name, u.BearerToken = "default", true
	u.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	u.Src.Set("127.0.0.0/8")
	u.Pub.Allow.Add(w.allow...)
	u.Sub.Allow.Add(w.allow...)
	return encode(w.t, u, w.own[s][node.APP])
}

// creds returns the credentials of a user of FED called name.
func (w *world) creds(name string, signer nkeys.KeyPair) []byte {
	key := pair(w.t, nkeys.CreateUser)
	u := jwt.NewUserClaims(public(w.t, key))
	u.Name, u.IssuerAccount, u.UserPermissionLimits = name, public(w.t, w.fed), jwt.UserPermissionLimits{}
	return w.decorate(encode(w.t, u, signer), key)
}

// local returns the credentials of an in-process user of a stamp's account.
func (w *world) local(s topology.StampID, a node.Account) []byte {
	key := pair(w.t, nkeys.CreateUser)
	u := jwt.NewUserClaims(public(w.t, key))
	u.AllowedConnectionTypes.Add(jwt.ConnectionTypeInProcess)
	return w.decorate(encode(w.t, u, w.own[s][a]), key)
}

func (w *world) decorate(token string, key nkeys.KeyPair) []byte {
	seed, err := key.Seed()
	require.NoError(w.t, err)
	out, err := jwt.FormatUserConfig(token, seed)
	require.NoError(w.t, err)
	return out
}

func (w *world) authority(name string) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	require.NoError(w.t, err)
	ca, err := x509.ParseCertificate(der)
	require.NoError(w.t, err)
	return key, ca
}

// certificate writes a certificate for this machine, signed by ca.
func (w *world) certificate(dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey, names ...string) (cert, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	w.serial++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + w.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: append(names, "localhost"), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, key.Public(), caKey)
	require.NoError(w.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(w.t, err)
	return w.write(dir, name+".crt", pemOf("CERTIFICATE", der)), w.write(dir, name+".key", pemOf("PRIVATE KEY", pkcs8))
}

func (w *world) write(dir, name string, content []byte) string {
	file := filepath.Join(dir, name)
	require.NoError(w.t, os.WriteFile(file, content, 0o600))
	return file
}

// view is the topology as stamp s sees it.
func (w *world) view(s topology.StampID) *topology.View {
	for _, st := range w.mesh.Stamps {
		if st.ID == s {
			return &topology.View{Mesh: w.mesh, Me: st}
		}
	}
	w.t.Fatalf("no stamp %s", s)
	return nil
}

// names maps what is random in options to what it is.
func (w *world) names(s topology.StampID) map[string]string {
	out := map[string]string{public(w.t, w.sys): "SYS", public(w.t, w.fed): "FED", w.dir: "DIR"}
	keys := map[string]string{}
	for a, k := range w.own[s] {
		keys[public(w.t, k)] = string(a)
	}
	maps.Copy(out, keys)
	return out
}

func pair(t testing.TB, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	k, err := create()
	require.NoError(t, err)
	return k
}

func public(t testing.TB, k nkeys.KeyPair) string {
	t.Helper()
	p, err := k.PublicKey()
	require.NoError(t, err)
	return p
}

func encode(t testing.TB, c jwt.Claims, k nkeys.KeyPair) string {
	t.Helper()
	s, err := c.Encode(k)
	require.NoError(t, err)
	return s
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// root returns the credentials of an in-process user of FED without limits.
func (w *world) root(t testing.TB) []byte {
	t.Helper()
	key := pair(t, nkeys.CreateUser)
	u := jwt.NewUserClaims(public(t, key))
	u.AllowedConnectionTypes.Add(jwt.ConnectionTypeInProcess)
	return w.decorate(encode(t, u, w.fed), key)
}

// encodeAt signs c as if at another time.
func encodeAt(t testing.TB, c *jwt.AccountClaims, k nkeys.KeyPair, at time.Time) string {
	t.Helper()
	// Encode always stamps the present; what it signs is rebuilt by hand.
	c.Issuer, c.IssuedAt, c.ID = public(t, k), at.Unix(), ""
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT","alg":"ed25519-nkey"}`))
	c.Type = jwt.AccountClaim
	c.Version = 2
	body, err := json.Marshal(c)
	require.NoError(t, err)
	text := head + "." + base64.RawURLEncoding.EncodeToString(body)
	sig, err := k.Sign([]byte(text))
	require.NoError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}
