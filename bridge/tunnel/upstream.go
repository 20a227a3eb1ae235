package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// A Target is an upstream that other stamps may ask for by name.
type Target struct {
	Name     string   // 1 to 127 of a-z, A-Z, 0-9, - and _
	Upstream *url.URL // http or https, host and port; a path is put before every request target

	Rules      Rules // who may ask what; nil: everything
	MaxRequest int64 // of a body, in bytes; 0 is 5 MiB, less is no limit
	// Timeout is until the answer was sent in full, whatever the client grants;
	// 0 is none.
	Timeout time.Duration
	// KeepHost passes on the Host that the client named, instead of the
	// upstream's.
	KeepHost bool
	// NoUpgrade refuses to change the protocol: what is said then is checked by no
	// rule.
	NoUpgrade bool

	// Files. CA holds what the upstream's certificate is checked against, else the
	// system's, and is read again by SetTargets; Cert and Key are ours, and read
	// again when they are needed.
	CA, Cert, Key string
	ServerName    string // in the upstream's certificate; empty: the host of Upstream
	// Credentials are files with the values of headers, such as X-Token. Whatever
	// the client sent for such a header is dropped.
	Credentials map[string]string
	// CredentialPrefix is put before the value of Authorization, such as
	// "Bearer ".
	CredentialPrefix string
}

// An upstream is a Target at work.
type upstream struct {
	Target
	transport *http.Transport
	ca        string // content of CA
	err       error  // why it cannot be asked: a file is missing or wrong
}

// checked returns t with its defaults, or what is wrong with it.
func checked(t Target) (Target, error) {
	switch {
	case !token(t.Name):
		return t, fmt.Errorf("target %q is no name", t.Name)
	case t.Upstream == nil || t.Upstream.Host == "" || t.Upstream.Scheme != "http" && t.Upstream.Scheme != "https":
		return t, fmt.Errorf("target %s has no upstream of http or https", t.Name)
	case (t.Cert == "") != (t.Key == ""):
		return t, fmt.Errorf("target %s has a certificate or a key without the other", t.Name)
	}
	if t.MaxRequest == 0 {
		t.MaxRequest = maxRequest
	}
	return t, nil
}

// newUpstream reads the files of t, which is checked.
func newUpstream(t Target) (*upstream, error) {
	u := &upstream{Target: t}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, NextProtos: []string{"http/1.1"}}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		u.ca = string(pem)
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("target %s: no certificate in %s", t.Name, t.CA)
		}
	}
	if t.Cert != "" {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &c, err
		}
		if _, err := load(nil); err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		conf.GetClientCertificate = load
	}
	// HTTP/1.1 only: it can change the protocol, and sends a target as it is.
	u.transport = &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  2 * time.Second,
		DisableCompression:     true, // gzip passes as it is
		MaxIdleConnsPerHost:    256,
		ReadBufferSize:         2 << 10, // a watch holds them; long bodies pass them by
		WriteBufferSize:        1 << 10,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHead / 2,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	return u, nil
}

// close lets go of connections that nobody uses.
func (u *upstream) close() {
	if u.transport != nil {
		u.transport.CloseIdleConnections()
	}
}

// same reports whether u is what newUpstream would make of t.
func (u *upstream) same(t Target) bool {
	if u.err != nil || !reflect.DeepEqual(u.Target, t) {
		return false
	}
	if t.CA == "" {
		return true
	}
	pem, err := os.ReadFile(t.CA)
	return err == nil && string(pem) == u.ca
}

// address returns the URL that makes Go send target as it is, byte for byte.
func (u *upstream) address(target string) (*url.URL, error) {
	a := &url.URL{Scheme: u.Upstream.Scheme, Host: u.Upstream.Host}
	if target == "*" {
		a.Opaque = target
		return a, nil
	}
	target = strings.TrimSuffix(u.Upstream.EscapedPath(), "/") + target
	p, query, has := strings.Cut(target, "?")
	a.RawQuery, a.ForceQuery = query, has
	if !strings.HasPrefix(p, "//") {
		a.Opaque = p
		return a, nil
	}
	// An opaque target that begins with // would get the scheme put before it.
	var err error
	if a.Path, err = url.PathUnescape(p); err != nil {
		return nil, fmt.Errorf("request target: %w", err)
	}
	if a.RawPath = p; a.RequestURI() != target {
		return nil, fmt.Errorf("request target %.80q begins with // and is not escaped", target)
	}
	return a, nil
}

// authorize puts credentials into h.
func (u *upstream) authorize(h http.Header) error {
	for name, file := range u.Credentials {
		b, err := os.ReadFile(file) //nolint:gosec // named in the configuration
		if err != nil {
			return fmt.Errorf("credentials of target %s: %w", u.Name, err)
		}
		v := strings.TrimSpace(string(b))
		if http.CanonicalHeaderKey(name) == "Authorization" {
			v = u.CredentialPrefix + v
		}
		h.Set(name, v)
	}
	return nil
}

// broken returns what err of the upstream means; nothing of it was answered.
func (u *upstream) broken(me topology.StampID, err error) *Error {
	var op *net.OpError
	var timeout net.Error
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	at := "target " + u.Name + ", upstream " + u.Upstream.Host
	switch {
	case errors.As(err, &op) && op.Op == "dial", errors.As(err, &verify), errors.As(err, &alert):
		return fault(me, ReasonRefused, "%s: %v", at, err).before()
	case errors.As(err, &timeout) && timeout.Timeout():
		return fault(me, ReasonTimeout, "%s: %v", at, err)
	}
	return fault(me, ReasonUpstream, "%s: %v", at, err)
}
