package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
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

const pollWorld = `
apiVersion: ringway/v1
kind: Topology
name: world
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
controlPlanes: [{name: keptn, stamp: control}]
stages:
  - {name: dev, ring: dev}
  - {name: hardening, ring: dev}
  - {name: production, ring: prod}
`

// pollClock makes a second of the originals 20 ms.
var pollClock = keptn.Clock{Second: 20 * time.Millisecond}

func pollShop() keptn.Project {
	return keptn.Project{Name: "sockshop", Stages: []keptn.Stage{
		{Name: "dev", Tasks: []string{"deployment", "test"}}, {Name: "hardening", Tasks: []string{"deployment", "test"}}, {Name: "production", Tasks: []string{"deployment"}},
	}}
}

// pollKeptn runs Keptn in the control stamp.
func pollKeptn(t *testing.T, f *fed.Fed) *keptn.ControlPlane {
	t.Helper()
	c := &keptn.ControlPlane{NATS: f.Stamp("control").URL(), Store: keptn.NewStore(keptn.Clock{Second: 200 * time.Millisecond}, pollShop())}
	keptn.Start(t, c)
	return c
}

// A pollFace is what planes of a stamp have for Keptn's API: polls and posts are
// answered by the stamp, the rest by the control plane.
type pollFace struct {
	*httptest.Server
	failed atomic.Int64 // answers of the stamp with a status of 500 and more
}

// endpoint is KEPTN_API_ENDPOINT for a plane.
func (f *pollFace) endpoint(plane string) string { return f.URL + "/p/" + plane + "/api" }

func newFace(t *testing.T, handler func() call.Handler, c *keptn.ControlPlane) *pollFace {
	t.Helper()
	to, err := url.Parse("http://" + c.Public)
	require.NoError(t, err)
	tunnel := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Header.Set("X-Token", keptn.Token)
	}}
	f := &pollFace{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := call.Call{Service: call.API, Public: true}
		one.Plane, one.Target, _ = strings.Cut(strings.TrimPrefix(r.RequestURI, "/p/"), "/api")
		r.URL.Path = "/api" + strings.SplitN(one.Target, "?", 2)[0]
		if rest, ok := strings.CutPrefix(one.Target, "/controlPlane"); ok {
			one.Service, one.Target = call.Shipyard, rest
		}
		s := &statusWriter{ResponseWriter: w}
		switch h := handler(); {
		case h == nil: // the stamp is being restarted
			http.Error(w, "restarting", http.StatusServiceUnavailable)
		case !h.ServeCall(s, r, one):
			tunnel.ServeHTTP(w, r)
		}
		if s.status >= http.StatusInternalServerError {
			f.failed.Add(1)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func faceOf(t *testing.T, f *fed.Fed, stamp topology.StampID, c *keptn.ControlPlane) *pollFace {
	t.Helper()
	return newFace(t, func() call.Handler { return handlerOf(f.Stamp(stamp).Gateway()) }, c)
}

func handlerOf(g *gateway.Gateway) call.Handler {
	if g == nil {
		return nil
	}
	return g.PollHandler()
}

// pollingPod is a service whose distributor polls.
func pollingPod(t *testing.T, f *pollFace, plane, topic string, work func(context.Context, keptn.Event) map[string]any) *keptn.Pod {
	t.Helper()
	p := &keptn.Pod{Service: "helm-service", Work: work, Distributor: keptn.Distributor{
		Clock: pollClock, APIEndpoint: f.endpoint(plane), APIToken: "x", PubSubTopic: topic,
		Name: "helm-" + plane, Namespace: "keptn-" + plane,
	}}
	keptn.Start(t, p)
	return p
}

// pollingSDK is a service made with go-sdk that polls.
func pollingSDK(t *testing.T, f *pollFace, plane, release, topic string) *keptn.SDK {
	t.Helper()
	s := &keptn.SDK{Clock: pollClock, Release: release, APIEndpoint: f.endpoint(plane), APIToken: "x", Name: "sdk-" + plane, Node: "n", Namespace: "keptn", PubSubTopic: topic}
	s.Handler = func(_ context.Context, e keptn.Event) map[string]any {
		d, err := e.Of()
		if err != nil {
			return nil
		}
		return map[string]any{"project": d.Project, "stage": d.Stage, "service": d.Service}
	}
	keptn.Start(t, s)
	return s
}

// requireDoneOnce requires that every task of a context was done once and in order.
func requireDoneOnce(t *testing.T, c *keptn.ControlPlane, shkeptncontext string) {
	t.Helper()
	all := c.Ended(t, shkeptncontext)
	p := pollShop()
	require.Len(t, all, len(p.Stages))
	for i, s := range all {
		require.Equal(t, keptn.Finished, s.State)
		require.Equal(t, "pass", s.Result)
		require.Len(t, s.Tasks, len(p.Stages[i].Tasks))
		for _, task := range s.Tasks {
			require.Len(t, task.Started, 1, "%s in %s", task.Name, s.Stage)
			require.Len(t, task.Finished, 1, "%s in %s", task.Name, s.Stage)
		}
	}
	require.Empty(t, c.Store.Late())
}

// TestPlanesThatPoll: distributors and services of both releases in stamps far from
// the control plane, which know nothing but HTTP, do each task once.
func TestPlanesThatPoll(t *testing.T) {
	f := fed.New(t, fmt.Sprintf(pollWorld, ""))
	c := pollKeptn(t, f)
	first, second := faceOf(t, f, "first", c), faceOf(t, f, "second", c)
	const deploy, test = "sh.keptn.event.deployment.triggered", "sh.keptn.event.test.triggered"
	helm := pollingPod(t, first, "one", deploy, nil)
	sdk := pollingSDK(t, first, "two", keptn.Release14, test)
	old := pollingSDK(t, second, "three", keptn.Release019, deploy)
	const n = 4
	var contexts []string
	for i := range n {
		contexts = append(contexts, c.Post(t, keptn.Trigger("sockshop", "dev", fmt.Sprint("carts-", i), "delivery", nil)))
	}
	for _, one := range contexts {
		requireDoneOnce(t, c, one)
	}
	require.Len(t, helm.Received(), 2*n)
	require.Len(t, sdk.Received(), 2*n)
	require.Len(t, old.Received(), n)
	require.Zero(t, first.failed.Load()+second.failed.Load())
}

// TestPlaneThatPollsOutlivesACut: it is answered all the time, what it posts is
// kept, and all is done once.
func TestPlaneThatPollsOutlivesACut(t *testing.T) {
	f := fed.New(t, fmt.Sprintf(pollWorld, ""))
	c := pollKeptn(t, f)
	first, second := faceOf(t, f, "first", c), faceOf(t, f, "second", c)
	pollingPod(t, first, "one", "sh.keptn.event.deployment.triggered,sh.keptn.event.test.triggered", nil)
	at, done := make(chan struct{}), make(chan struct{})
	last := pollingPod(t, second, "last", "sh.keptn.event.deployment.triggered", func(context.Context, keptn.Event) map[string]any {
		close(at)
		<-done
		return nil
	})
	one := c.Post(t, keptn.Trigger("sockshop", "dev", "carts", "delivery", nil))
	<-at
	f.Cut("second")
	f.Down("second")
	answers := f.Tap("second", "sh.keptn.event.deployment.finished", "")
	close(done)
	answers.Next()
	f.Stop("second")
	f.Restart("second")
	f.Heal("second")
	requireDoneOnce(t, c, one)
	require.Len(t, last.Received(), 1)
	require.Zero(t, second.failed.Load())
}

// TestAnyReplicaServesPolls: those that do not move events as well, in turn, also
// when the one that did is gone.
func TestAnyReplicaServesPolls(t *testing.T) {
	f := fed.New(t, fmt.Sprintf(pollWorld, ", replicas: 3"))
	c := pollKeptn(t, f)
	first := faceOf(t, f, "first", c)
	pollingPod(t, first, "one", "sh.keptn.event.deployment.triggered,sh.keptn.event.test.triggered", nil)
	var turn atomic.Int64
	second := newFace(t, func() call.Handler {
		for {
			if h := handlerOf(f.Replica("second", int(turn.Add(1)%3)).Gateway()); h != nil {
				return h
			}
		}
	}, c)
	pod := pollingPod(t, second, "last", "sh.keptn.event.deployment.triggered", nil)
	one := c.Post(t, keptn.Trigger("sockshop", "dev", "carts", "delivery", nil))
	requireDoneOnce(t, c, one)
	f.StopReplica("second", f.Active("second"))
	require.Eventually(t, func() bool { return f.Stamp("second").Active() != nil }, 30*time.Second, 10*time.Millisecond)
	two := c.Post(t, keptn.Trigger("sockshop", "dev", "carts", "delivery", nil))
	requireDoneOnce(t, c, two)
	require.Len(t, pod.Received(), 2)
	require.Zero(t, second.failed.Load())
}

// TestScriptStartsASequence: in a stamp far from the control plane and in that of
// the control plane, with a retry that is none.
func TestScriptStartsASequence(t *testing.T) {
	f := fed.New(t, fmt.Sprintf(pollWorld, ""))
	c := pollKeptn(t, f)
	first, second, control := faceOf(t, f, "first", c), faceOf(t, f, "second", c), faceOf(t, f, "control", c)
	pollingPod(t, first, "one", "sh.keptn.event.deployment.triggered,sh.keptn.event.test.triggered", nil)
	pollingPod(t, second, "last", "sh.keptn.event.deployment.triggered", nil)
	for i, at := range []*pollFace{first, control} {
		var contexts []string
		for range 3 {
			body := keptn.Trigger("sockshop", "dev", fmt.Sprint("carts-", i), "delivery", nil)
			resp, err := http.Post(at.endpoint("script")+"/v1/event", "application/json", bytes.NewReader(body)) //nolint:noctx // of this test
			require.NoError(t, err)
			var got struct{ KeptnContext string }
			require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
			require.NoError(t, resp.Body.Close())
			contexts = append(contexts, got.KeptnContext)
		}
		require.Equal(t, []string{contexts[0], contexts[0], contexts[0]}, contexts)
		require.Eventually(t, func() bool { return len(c.Store.Sequences()) > 3*i }, 20*time.Second, time.Millisecond)
		requireDoneOnce(t, c, contexts[0])
		require.Len(t, c.Store.Sequences(), 3*(i+1))
	}
}
