package pull

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringway/ringway/topology"
)

// maxAnswer bounds what a control plane may answer, in bytes.
const maxAnswer = 64 << 20

// longestRetryAfter bounds how long a control plane may ask to be left alone.
const longestRetryAfter = 10 * time.Minute

// An upstream is the API of one control plane. It is safe for concurrent use.
type upstream struct {
	name   string
	at     map[string]string // by service: where its own form begins, without a slash at the end
	access Access
	http   *http.Client
	slots  chan struct{} // one for each POST under way

	mu    sync.Mutex // guards the following field
	quiet time.Time  // until when it asked not to be called
}

// The services that are called, as the topology names them, and where the
// public API has them.
const (
	shipyard  = "shipyard-controller"
	datastore = "mongodb-datastore"
	api       = "api-service"
)

var public = map[string]string{shipyard: "/controlPlane", datastore: "/mongodb-datastore", api: ""}

// addresses returns where the services of a control plane are: in their own
// form where that is given, else in the public one.
func addresses(cp *topology.ControlPlane) (map[string]string, error) {
	out := map[string]string{}
	for service, path := range public {
		switch u := cp.Services[service]; {
		case u != nil:
			out[service] = strings.TrimSuffix(u.String(), "/")
		case cp.API != nil:
			out[service] = strings.TrimSuffix(cp.API.String(), "/") + path
		default:
			return nil, fmt.Errorf("control plane %s: the topology says neither its public url nor where %s is", cp.Name, service)
		}
	}
	return out, nil
}

func newUpstream(cp *topology.ControlPlane, a Access, timeout time.Duration, posts int) (*upstream, error) {
	at, err := addresses(cp)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: posts + 1, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if a.CA != "" {
		text, err := os.ReadFile(a.CA)
		if err != nil {
			return nil, fmt.Errorf("control plane %s: read certificate authority: %w", cp.Name, err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("control plane %s: %s holds no certificate", cp.Name, a.CA)
		}
	}
	if a.Cert != "" {
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(a.Cert, a.Key)
			return &c, err
		}
	}
	return &upstream{
		name: cp.Name, at: at, access: a, slots: make(chan struct{}, posts),
		http: &http.Client{
			Transport: t, Timeout: timeout,
			// The token is for the address that was declared.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (u *upstream) close() { u.http.CloseIdleConnections() }

// same reports whether the topology still says what it said when u was made.
func (u *upstream) same(cp *topology.ControlPlane) bool {
	at, err := addresses(cp)
	return err == nil && maps.Equal(at, u.at)
}

// request makes a call of a service by a path of its own, such as /v1/event.
func (u *upstream) request(ctx context.Context, method, service, path string, q url.Values, body io.Reader) (*http.Request, error) {
	to := u.at[service] + path
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, fmt.Errorf("call control plane %s: %w", u.name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if u.access.TokenFile == "" {
		return req, nil
	}
	token, err := os.ReadFile(u.access.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("call control plane %s: read token: %w", u.name, err)
	}
	req.Header.Set("X-Token", strings.TrimSpace(string(token)))
	return req, nil
}

// A refusal is an answer that is no success.
type refusal struct {
	control, path string
	code          int
	message       string
	retryAfter    time.Duration // 0: it does not say
}

func (e *refusal) Error() string {
	return fmt.Sprintf("control plane %s answers %d to %s: %s", e.control, e.code, e.path, e.message)
}

// refused makes an error of an answer, and takes note of how long the control
// plane wants to be left alone.
func (u *upstream) refused(resp *http.Response, path string) *refusal {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // what there is of it
	e := &refusal{control: u.name, path: path, code: resp.StatusCode, message: strings.TrimSpace(string(text))}
	if e.message == "" {
		e.message = http.StatusText(resp.StatusCode)
	}
	e.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if e.retryAfter > 0 {
		u.mu.Lock()
		u.quiet = time.Now().Add(e.retryAfter)
		u.mu.Unlock()
	}
	return e
}

// silence returns for how long the control plane wants not to be called.
func (u *upstream) silence() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return time.Until(u.quiet)
}

// retryAfter reads a header that is a number of seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(text); err == nil {
		d = time.Duration(min(n, int(longestRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return max(min(d, longestRetryAfter), 0)
}

// waitOf returns how long an error asks to wait, at least least.
func waitOf(err error, least time.Duration) time.Duration {
	var r *refusal
	if errors.As(err, &r) {
		return max(least, r.retryAfter)
	}
	return least
}
