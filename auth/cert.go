package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// How long certificates are valid. Those of hubs are renewed by Issue in the
// last third of it.
const (
	AuthorityLife   = 10 * 365 * 24 * time.Hour
	CertificateLife = 365 * 24 * time.Hour
)

// skew is how far the clocks of stamps may be apart: a certificate that was just
// made counts also where it is some time earlier. An hour is what a wrong time
// zone or summer time makes.
const skew = 2 * time.Hour

// ErrNoAuthorityKey reports that a hub needs a certificate and the key of the
// CA is not at hand. It is permanent until somebody brings certificates.
var ErrNoAuthorityKey = errors.New("the key of the CA is not here")

// An Authority is the CA that links are verified with.
type Authority struct {
	PEM []byte // its certificates: the one that signs, and those that are still or already trusted

	cert *x509.Certificate
	key  crypto.Signer // nil: it signs elsewhere
	pool *x509.CertPool
}

// NewAuthority returns the certificate and the key of a new CA, as PEM.
func NewAuthority(name string, random io.Reader, now time.Time) (certPEM, keyPEM []byte, err error) {
	t, err := template(name, "links", random, now, AuthorityLife)
	if err != nil {
		return nil, nil, err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, fmt.Errorf("make key of CA: %w", err)
	}
	return certify(t, t, key, key, random)
}

// ParseAuthority reads a CA. Of several certificates the one that belongs to
// the key signs; all are trusted. Without a key (empty) it only verifies.
func ParseAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	certs, err := certificates(certPEM)
	if err != nil {
		return nil, fmt.Errorf("read certificate of CA: %w", err)
	}
	a := &Authority{PEM: certPEM, cert: certs[0], pool: x509.NewCertPool()}
	for _, c := range certs {
		if !c.IsCA {
			return nil, fmt.Errorf("read certificate of CA: %s is not a CA", c.Subject)
		}
		a.pool.AddCert(c)
	}
	if len(keyPEM) == 0 {
		return a, nil
	}
	if a.key, err = privateKey(keyPEM); err != nil {
		return nil, fmt.Errorf("read key of CA: %w", err)
	}
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return belongs(c, a.key) })
	if i < 0 {
		return nil, errors.New("read key of CA: it belongs to none of the certificates")
	}
	a.cert = certs[i]
	return a, nil
}

// A pair is a certificate and its key, as PEM.
type pair struct {
	name      string // of the files
	cert, key []byte
	usage     []x509.ExtKeyUsage
}

func gatewayPair(f *Folder) pair {
	return pair{"gateway", f.GatewayCert, f.GatewayKey, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
}

func linkPair(f *Folder) pair {
	return pair{"link", f.LinkCert, f.LinkKey, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

// peerPair is for the routes between the replicas of a stamp. It is no
// client's certificate, so that no hub takes its bearer for a hub; both ends
// of a route ask for PeerName.
func peerPair(f *Folder) pair {
	return pair{"peer", f.PeerCert, f.PeerKey, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

// PeerName is the only name in the certificate by which the replicas of a
// stamp know each other. No host is called so.
func PeerName(s topology.StampID) string { return "peer." + string(s) + ".ringway.internal" }

// issue returns a certificate for stamp s at hosts: old if it will do.
func (a *Authority) issue(s topology.StampID, federation string, hosts []string, old pair, random io.Reader, now time.Time) (pair, error) {
	if a.serves(old, hosts, now) {
		return old, nil
	}
	if a.key == nil {
		return pair{}, fmt.Errorf("make %s.crt of stamp %s for %s: %w", old.name, s, strings.Join(hosts, ", "), ErrNoAuthorityKey)
	}
	t, err := template(federation, string(s), random, now, CertificateLife)
	if err != nil {
		return pair{}, err
	}
	if t.NotAfter.After(a.cert.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, old.usage
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return pair{}, fmt.Errorf("make key of %s.crt: %w", old.name, err)
	}
	out := pair{name: old.name, usage: old.usage}
	out.cert, out.key, err = certify(t, a.cert, key, a.key, random)
	return out, err
}

// serves reports whether p is in order, is valid for hosts, and has more than
// a third of its life left. Without the CA's key nobody can renew it, so then
// it serves to its end.
func (a *Authority) serves(p pair, hosts []string, now time.Time) bool {
	if len(p.cert) == 0 || a.check(p) != nil {
		return false
	}
	c, err := certificate(p.cert)
	if err != nil || slices.ContainsFunc(hosts, func(h string) bool { return c.VerifyHostname(h) != nil }) {
		return false
	}
	if a.key == nil {
		return true
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: poolOf(a.cert), CurrentTime: c.NotBefore, KeyUsages: anyUsage()}); err != nil {
		return false // signed by a CA that is on its way out
	}
	return c.NotAfter.Sub(now) > c.NotAfter.Sub(c.NotBefore)/3
}

// check returns why p can not be used, apart from its date.
func (a *Authority) check(p pair) error {
	c, err := certificate(p.cert)
	if err != nil {
		return fmt.Errorf("read %s.crt: %w", p.name, err)
	}
	key, err := privateKey(p.key)
	if err != nil {
		return fmt.Errorf("read %s.key: %w", p.name, err)
	}
	if !belongs(c, key) {
		return fmt.Errorf("%s.key does not belong to %s.crt", p.name, p.name)
	}
	chain, _ := certificates(p.cert) // certificate has read them
	between := poolOf(chain[1:]...)
	for _, u := range p.usage {
		// Dates are looked at elsewhere: an expired certificate is no reason
		// for a stamp not to serve its own clients.
		o := x509.VerifyOptions{Roots: a.pool, Intermediates: between, CurrentTime: c.NotBefore, KeyUsages: []x509.ExtKeyUsage{u}}
		if _, err := c.Verify(o); err != nil {
			return fmt.Errorf("verify %s.crt: %w", p.name, err)
		}
	}
	return nil
}

// hosts returns where a hub is reached at addrs (host:port, some empty), and
// how it reaches itself.
func hosts(addrs ...string) []string {
	out := []string{"localhost", "127.0.0.1", "::1"}
	for _, a := range addrs {
		i := strings.LastIndexByte(a, ':')
		if i < 0 {
			i = len(a)
		}
		h := strings.TrimSuffix(strings.TrimPrefix(a[:i], "["), "]")
		if h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func template(federation, name string, random io.Reader, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	if _, err := io.ReadFull(random, serial); err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	serial[0] &= 0x7f // positive
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{Organization: []string{federation}, CommonName: name},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(life),
	}, nil
}

func certify(t, parent *x509.Certificate, key, signer crypto.Signer, random io.Reader) (certPEM, keyPEM []byte, err error) {
	der, err := x509.CreateCertificate(random, t, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate of %s: %w", t.Subject.CommonName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key of %s: %w", t.Subject.CommonName, err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

// certificates returns every certificate of a PEM file; at least one.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := bytes.TrimSpace(text); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no PEM certificate")
	}
	return out, nil
}

func certificate(text []byte) (*x509.Certificate, error) {
	all, err := certificates(text)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func privateKey(text []byte) (crypto.Signer, error) {
	b, _ := pem.Decode(text)
	if b == nil {
		return nil, errors.New("there is no PEM key")
	}
	var key any
	var err error
	switch b.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, err
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T does not sign", key)
	}
	return s, nil
}

func belongs(c *x509.Certificate, key crypto.Signer) bool {
	p, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.Equal(key.Public())
}

func poolOf(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func anyUsage() []x509.ExtKeyUsage { return []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }
