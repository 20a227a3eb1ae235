package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
)

func parsed(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	b, _ := pem.Decode(text)
	require.NotNil(t, b)
	c, err := x509.ParseCertificate(b.Bytes)
	require.NoError(t, err)
	return c
}

func TestCertificatesOfAHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("hub")
	ca, gateway, link := parsed(t, f.CA), parsed(t, f.GatewayCert), parsed(t, f.LinkCert)
	require.True(t, ca.IsCA)
	require.True(t, ca.MaxPathLenZero)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, gateway.ExtKeyUsage)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, link.ExtKeyUsage, "a stolen listener's key is no gateway")
	for _, c := range []*x509.Certificate{ca, gateway, link} {
		key, ok := c.PublicKey.(*ecdsa.PublicKey)
		require.True(t, ok)
		require.Equal(t, elliptic.P256(), key.Curve)
		require.Equal(t, []string{"test"}, c.Subject.Organization)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "hub.example.com"} {
		require.NoError(t, gateway.VerifyHostname(host))
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "2001:db8::1", "ws.example.com"} {
		require.NoError(t, link.VerifyHostname(host))
	}
	require.Error(t, link.VerifyHostname("hub.example.com"))
}

func TestNoCertificateOutlivesItsCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.authority = authority(t, w.now.Add(-auth.AuthorityLife+30*24*time.Hour))
	f := w.folder("hub")
	require.Equal(t, parsed(t, f.CA).NotAfter, parsed(t, f.GatewayCert).NotAfter)
}

func TestBroughtCertificatesNeedNoKeyOfTheCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.folder("hub")
	var err error
	w.authority, err = auth.ParseAuthority(first.CA, nil)
	require.NoError(t, err)

	o := w.order("hub")
	_, err = auth.Issue(o)
	require.ErrorIs(t, err, auth.ErrNoAuthorityKey)
	require.ErrorContains(t, err, "hub.example.com")
	o.Before.GatewayCert, o.Before.GatewayKey = first.GatewayCert, first.GatewayKey
	o.Before.LinkCert, o.Before.LinkKey = first.LinkCert, first.LinkKey
	o.Now = w.now.Add(auth.CertificateLife - time.Hour)
	require.Equal(t, first.GatewayCert, w.issue(o).GatewayCert)
	w.folder("x") // a leaf needs none
}

func TestCAChangesWhileBothAreTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.folder("hub")
	cert, key, err := auth.NewAuthority("test", rand.Reader, w.now)
	require.NoError(t, err)
	w.authority, err = auth.ParseAuthority(slices.Concat(first.CA, cert), key)
	require.NoError(t, err)
	o := w.order("hub")
	o.Before = *first
	second := w.issue(o)
	require.Equal(t, []string{"ca.crt", "gateway.crt", "gateway.key", "link.crt", "link.key", "peer.crt", "peer.key"}, changed(first, second))
	require.NoError(t, parsed(t, second.LinkCert).CheckSignatureFrom(parsed(t, cert)))
}

func TestAuthorityIsRefused(t *testing.T) {
	t.Parallel()
	cert, key, err := auth.NewAuthority("a", rand.Reader, time.Now())
	require.NoError(t, err)
	_, other, err := auth.NewAuthority("b", rand.Reader, time.Now())
	require.NoError(t, err)
	for want, tc := range map[string][2][]byte{
		"there is no PEM certificate":        {nil, key},
		"it belongs to none of the certific": {cert, other},
		"there is no PEM key":                {cert, []byte("x")},
	} {
		_, err := auth.ParseAuthority(tc[0], tc[1])
		require.ErrorContains(t, err, want)
	}
}
