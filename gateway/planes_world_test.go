package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/test/keptn"
	"github.com/ringway/ringway/topology"
)

// planesWorld is a control plane, and two stamps in rings of their own. %s is
// Keptn's API.
const planesWorld = `
apiVersion: ringway/v1
kind: Topology
name: planes
geos: [eu]
rings: [control, dev, prod]
stamps:
  - name: control
    geo: eu
    ring: control
    roles: [control]
    link: {kind: hub, advertise: {gateway: "control.example:7222", leafnode: "control.example:7422"}}
  - {name: first, geo: eu, ring: dev, link: {via: [control]}}
  - {name: second, geo: eu, ring: prod, link: {via: [control]}%s}
controlPlanes: [{name: keptn, stamp: control%s}]
stages:
  - {name: dev, ring: dev}
  - {name: hardening, ring: dev}
  - {name: production, ring: prod}
`

// patience is how long a test waits for what must happen.
const patience = fed.Patience

// quick compresses a second of the stand-ins.
var quick = keptn.Clock{Second: 20 * time.Millisecond}

// A frontDoor is Keptn's public API, which can be away.
type frontDoor struct {
	*httptest.Server
	away atomic.Bool
	mute chan struct{} // not nil: nothing is answered before it is closed

	mu    sync.Mutex
	store *keptn.Store
	calls []string
}

func openDoor(t *testing.T) *frontDoor {
	t.Helper()
	d := &frontDoor{store: keptn.NewStore(keptn.Clock{})}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.away.Load() {
			panic(http.ErrAbortHandler)
		}
		d.mu.Lock()
		mute := d.mute
		d.mu.Unlock()
		if mute != nil {
			_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the caller has gone
			select {
			case <-mute:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler)
		}
		path, ok := strings.CutPrefix(r.URL.Path, "/api/controlPlane")
		if !ok {
			http.NotFound(w, r)
			return
		}
		r.URL.Path, r.URL.RawPath = path, ""
		d.mu.Lock()
		d.calls = append(d.calls, r.Method+" "+r.URL.RequestURI())
		shipyard := &keptn.Shipyard{Store: d.store}
		d.mu.Unlock()
		shipyard.Handler().ServeHTTP(w, r)
	}))
	d.Config.SetKeepAlivesEnabled(false) // nothing is open when it is looked for leaks
	t.Cleanup(d.Close)
	return d
}

// forget makes the control plane forget everything, as its TTL does.
func (d *frontDoor) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store = keptn.NewStore(keptn.Clock{})
}

// do makes a call to the control plane itself, as the Bridge does.
func (d *frontDoor) do(t testing.TB, method, path string, in, out any) int {
	t.Helper()
	return do(t, method, d.URL+"/api/controlPlane/v1/uniform/registration"+path, in, out)
}

// shown returns what the Bridge shows, by namespace.
func (d *frontDoor) shown(t testing.TB) map[string]keptn.Integration {
	t.Helper()
	var all []keptn.Integration
	d.do(t, http.MethodGet, "", nil, &all)
	out := map[string]keptn.Integration{}
	for _, i := range all {
		out[i.Metadata.Kubernetes.Namespace+"/"+i.Name] = i
	}
	require.Len(t, out, len(all))
	return out
}

func do(t testing.TB, method, url string, in, out any) int {
	t.Helper()
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(in)
	default:
		b, err := json.Marshal(in)
		require.NoError(t, err)
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	if out != nil && resp.StatusCode < 300 {
		require.NoError(t, json.Unmarshal(text, out), string(text))
	}
	if p, ok := out.(*string); ok {
		*p = string(text)
	}
	return resp.StatusCode
}

// A planeFace is the HTTP of one replica, as far as the uniform API goes: names
// in the cluster, and /p/<plane>/api.
type planeFace struct {
	*httptest.Server
	t testing.TB
}

// face serves HTTP of the replica i of a stamp as long as the test runs, also
// while the replica does not.
func face(t *testing.T, f *fed.Fed, stamp topology.StampID, i int) *planeFace {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := f.Replica(stamp, i).Gateway()
		if g == nil {
			panic(http.ErrAbortHandler)
		}
		c := call.Call{Service: call.Shipyard, Target: r.RequestURI}
		if rest, ok := strings.CutPrefix(c.Target, "/p/"); ok {
			c.Plane, rest, _ = strings.Cut(rest, "/")
			c.Target, c.Public = strings.TrimPrefix(rest, "api/controlPlane"), true
		}
		if !g.PlaneHandler().ServeCall(w, r, c) {
			w.Header().Set("Ringway-Test", "upstream")
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	s.Config.SetKeepAlivesEnabled(false)
	t.Cleanup(s.Close)
	return &planeFace{s, t}
}

func (p *planeFace) addr() string { return strings.TrimPrefix(p.URL, "http://") }

// hosts is the resolver of the stamp's cluster.
func (p *planeFace) hosts() keptn.Hosts { return keptn.InCluster(p.addr()) }

func (p *planeFace) do(method, path string, in, out any) int {
	p.t.Helper()
	return do(p.t, method, p.URL+"/v1/uniform/registration"+path, in, out)
}

// register registers and returns the id.
func (p *planeFace) register(i keptn.Integration) string {
	p.t.Helper()
	var out struct{ ID string }
	require.Contains(p.t, []int{http.StatusOK, http.StatusCreated}, p.do(http.MethodPost, "", i, &out))
	require.NotEmpty(p.t, out.ID)
	return out.ID
}

// ping returns what a ping is answered with.
func (p *planeFace) ping(id string) keptn.Integration {
	p.t.Helper()
	var out keptn.Integration
	require.Equal(p.t, http.StatusOK, p.do(http.MethodPut, "/"+id+"/ping", nil, &out))
	require.Equal(p.t, id, out.ID)
	return out
}

// quickly compresses the times of gateways.
func quickly(o *gateway.Options) {
	o.Planes.Refresh, o.Planes.Lease, o.Planes.Grace = 100*time.Millisecond, 2*time.Second, time.Second
	o.Planes.Behalf, o.Planes.Announce = 200*time.Millisecond, 300*time.Millisecond
}

func planes(t *testing.T, d *frontDoor, second string, options ...func(*gateway.Options)) *fed.Fed {
	t.Helper()
	api := ""
	if d != nil {
		api = ", api: {url: " + d.URL + "/api}"
	}
	return fed.New(t, fmt.Sprintf(planesWorld, second, api), append([]func(*gateway.Options){quickly}, options...)...)
}

// helm is what a distributor registers as.
func helm(events ...string) keptn.Integration {
	i := keptn.Integration{Name: "helm-service", Metadata: keptn.Metadata{
		Hostname: "keptn-node", IntegrationVersion: "0.18.1", DistributorVersion: "0.19.3", Location: "control-plane",
		Kubernetes: keptn.Kubernetes{Namespace: "keptn-exec", Pod: "helm-service-abcde", Deployment: "helm-service"},
	}}
	for _, e := range events {
		i.Subscriptions = append(i.Subscriptions, keptn.Subscription{Event: e})
	}
	return i
}

const deployment = "sh.keptn.event.deployment.triggered"

// stagesOf returns the stages of the subscription to an event.
func stagesOf(t testing.TB, i keptn.Integration, event string) []string {
	t.Helper()
	at := slices.IndexFunc(i.Subscriptions, func(s keptn.Subscription) bool { return s.Event == event })
	require.GreaterOrEqual(t, at, 0, "no subscription to %s: %v", event, i.Subscriptions)
	return i.Subscriptions[at].Filter.Stages
}
