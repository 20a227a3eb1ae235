package plane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/topology"
)

// Why a control plane did not do what it was asked.
var (
	errNotFound = errors.New("uniform integration not found")
	// errAway reports that nobody answered who could know: the control plane may
	// be out of reach.
	errAway = errors.New("control plane is out of reach")
)

const (
	registration = "/v1/uniform/registration"

	// callTimeout bounds one call to a control plane. Those who register wait for
	// several at most; the most patient of them for 30 s.
	callTimeout = 4 * time.Second
	maxAnswer   = 16 << 20 // bytes of an answer
)

func noUpstream(*topology.ControlPlane, string) http.RoundTripper { return nil }

// An api makes calls of the uniform API of a control plane.
type api struct {
	name string
	rt   http.RoundTripper
}

// hasAPI reports whether the topology names an API of cp. The way to it may not be
// open yet.
func hasAPI(cp *topology.ControlPlane) bool {
	return cp.API != nil || cp.Services[call.Shipyard] != nil
}

// api returns nil if the topology names none for cp.
func (r *Registry) api(cp *topology.ControlPlane) *api {
	rt := r.cfg.Upstream(cp, call.Shipyard)
	if rt == nil {
		return nil
	}
	return &api{cp.Name, rt}
}

// do makes a call and reads its answer into out, unless that is nil.
func (a *api) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := encode(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+call.Shipyard+path, body)
	if err != nil {
		return fmt.Errorf("call control plane %s: %w", a.name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := a.rt.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: read answer: %w", errAway, err)
	}
	if resp.StatusCode/100 != 2 {
		return refusal(resp, text)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%w: read answer: %w", errAway, err)
	}
	return nil
}

// refusal tells what Keptn says from what those on the way to it say.
func refusal(resp *http.Response, text []byte) error {
	var e struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &e) != nil || e.Message == "" {
		e.Message = fmt.Sprintf("%.100s", text)
	}
	switch {
	case resp.Header.Get("Ringway-Reason") != "", resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests:
	case resp.StatusCode == http.StatusNotFound && e.Code == http.StatusNotFound:
		return errNotFound
	case resp.StatusCode == http.StatusBadRequest:
		return fmt.Errorf("control plane refuses: %d: %s", resp.StatusCode, e.Message)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: answer %d: %s: the gateway of its stamp names no token for its API (controlPlanes in gateway.yaml), or a wrong one",
			errAway, resp.StatusCode, e.Message)
	}
	return fmt.Errorf("%w: answer %d: %s", errAway, resp.StatusCode, e.Message)
}

func (a *api) register(ctx context.Context, i Integration) (string, error) {
	var out struct {
		ID string `json:"id"`
	}
	err := a.do(ctx, http.MethodPost, registration, i, &out)
	if err == nil && out.ID == "" {
		err = fmt.Errorf("%w: it registers without an id", errAway)
	}
	return out.ID, err
}

func (a *api) ping(ctx context.Context, id string) (Integration, error) {
	var out Integration
	err := a.do(ctx, http.MethodPut, registration+"/"+url.PathEscape(id)+"/ping", nil, &out)
	return out, err
}

func (a *api) get(ctx context.Context, id string) (Integration, error) {
	var out []Integration
	if err := a.do(ctx, http.MethodGet, registration+"?id="+url.QueryEscape(id), nil, &out); err != nil {
		return Integration{}, err
	}
	for _, i := range out {
		if i.ID == id {
			return i, nil
		}
	}
	return Integration{}, errNotFound
}

func (a *api) remove(ctx context.Context, id string) error {
	return a.do(ctx, http.MethodDelete, registration+"/"+url.PathEscape(id), nil, nil)
}

// put creates a subscription, or changes the one with its id.
func (a *api) put(ctx context.Context, id string, s Subscription) error {
	return a.do(ctx, http.MethodPut, registration+"/"+url.PathEscape(id)+"/subscription/"+url.PathEscape(s.ID), s, nil)
}

func (a *api) drop(ctx context.Context, id, sub string) error {
	return a.do(ctx, http.MethodDelete, registration+"/"+url.PathEscape(id)+"/subscription/"+url.PathEscape(sub), nil, nil)
}

// remotes knows which control planes are out of reach, so that not every plane
// has to find out by itself. It is safe for concurrent use.
type remotes struct {
	mu   sync.Mutex
	down map[string]*outage // by control plane
}

// An outage is that of a control plane.
type outage struct {
	since time.Time
	next  time.Time // when it is tried again
	wait  time.Duration
	err   string
}

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// open reports whether cp may be tried, and if not, why.
func (m *remotes) open(cp string, now time.Time) (bool, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.down[cp]
	if o == nil {
		return true, ""
	}
	if now.Before(o.next) {
		return false, o.err
	}
	o.next = now.Add(o.wait) // one tries, the others wait for what comes of it
	return true, ""
}

// note notes what came of a try. turned says that an outage begins or ends by it,
// after that time.
func (m *remotes) note(cp string, err error, now time.Time) (turned bool, after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.down[cp]
	if !errors.Is(err, errAway) {
		delete(m.down, cp)
		if o == nil {
			return false, 0
		}
		return true, now.Sub(o.since)
	}
	turned = o == nil
	if turned {
		o = &outage{since: now, wait: firstRetry / 2}
		m.down[cp] = o
	}
	o.wait, o.err = min(2*o.wait, lastRetry), err.Error()
	o.next = now.Add(o.wait)
	return turned, 0
}
