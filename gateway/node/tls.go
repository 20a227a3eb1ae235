package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

// linkTLS holds the TLS configurations of the links of one stamp. They are
// made once: a renewed certificate is picked up by the next handshake, without
// a reload; a renewed CA by a reload, and by the link server when it restarts.
type linkTLS struct {
	ca      []byte      // the file, as it was read
	gateway *tls.Config // hubs: both as server and as client
	listen  *tls.Config // hubs: leafnode and WebSocket listeners
	own     *tls.Config // hubs: the local server as a client of the link server
	leaf    *tls.Config // leaf stamps: as a client of a hub
	peer    *tls.Config // replicas: both as server and as client of a route
}

func newLinkTLS(id Identity, me *topology.Stamp, log *slog.Logger) (*linkTLS, error) {
	ca, err := os.ReadFile(id.CA)
	if err != nil {
		return nil, fmt.Errorf("read CA of the links: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read CA of the links: %s holds no certificate", id.CA)
	}
	t := &linkTLS{
		ca: ca,
		// A hub may stand behind a proxy that ends TLS, hence 1.2.
		leaf: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}
	if me.Replicas > 1 {
		peer, err := newKeyPair(id.PeerCert, id.PeerKey, log)
		if err != nil {
			return nil, fmt.Errorf("read certificate for the routes of replicas, which auth issue makes: %w", err)
		}
		t.peer = peerTLS(auth.PeerName(me.ID), roots, peer)
	}
	if me.Link.Kind != topology.LinkHub {
		return t, nil
	}
	gateway, err := newKeyPair(id.GatewayCert, id.GatewayKey, log)
	if err != nil {
		return nil, fmt.Errorf("read gateway certificate: %w", err)
	}
	link, err := newKeyPair(id.LinkCert, id.LinkKey, log)
	if err != nil {
		return nil, fmt.Errorf("read link certificate: %w", err)
	}
	t.gateway = &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return gateway.get() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return gateway.get() },
		ClientAuth:           tls.RequireAndVerifyClientCert,
		ClientCAs:            roots,
		RootCAs:              roots,
	}
	t.listen = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return link.get() },
	}
	t.own = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost"}
	return t, nil
}

// peerTLS is for both ends of a route. Both show a certificate and want one of
// the CA with the name of the stamp's peers; where the other end is says
// nothing. It is a server's certificate at both ends, since one for clients
// would admit its bearer to the gateways of hubs.
func peerTLS(name string, roots *x509.CertPool, pair *keyPair) *tls.Config {
	verify := func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("verify replica: it shows no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return fmt.Errorf("verify replica: %w", err)
		}
		return nil
	}
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		ServerName:           name,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get() },
		ClientAuth:           tls.RequireAnyClientCert,
		InsecureSkipVerify:   true, //nolint:gosec // VerifyConnection does it, the same at both ends
		VerifyConnection:     verify,
	}
}

// A keyPair is a certificate with its key, read again when a file changes. It
// is safe for concurrent use.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu   sync.Mutex
	cert *tls.Certificate
	seen [2]fileStamp // of the last attempt to read
}

// A fileStamp tells one content of a file from another, cheaply.
type fileStamp struct {
	size    int64
	changed time.Time
}

func newKeyPair(cert, key string, log *slog.Logger) (*keyPair, error) {
	p := &keyPair{certFile: cert, keyFile: key, log: log}
	if err := p.refresh(); err != nil {
		return nil, err
	}
	return p, nil
}

// get returns the certificate as it is on disk. If that cannot be read, for
// example because only one of the two files was replaced yet, it returns the
// last good one.
func (p *keyPair) get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refresh(); err != nil {
		p.log.Warn("certificate kept as it was", "file", p.certFile, "err", err)
	}
	return p.cert, nil
}

// refresh reads the files if they changed since the last attempt. The caller
// holds mu, but for the constructor.
func (p *keyPair) refresh() error {
	cert, err1 := fileStampOf(p.certFile)
	key, err2 := fileStampOf(p.keyFile)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if now := [2]fileStamp{cert, key}; now != p.seen {
		p.seen = now
		loaded, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
		if err != nil {
			return err
		}
		p.cert = &loaded
	}
	return nil
}

func fileStampOf(file string) (fileStamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{info.Size(), info.ModTime()}, nil
}
