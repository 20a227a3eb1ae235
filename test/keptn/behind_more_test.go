package keptn

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// TestWildcardPlanes: planes that subscribe to everything, by NATS and by HTTP,
// get what becomes of projects and services, once, and of what is of a stage that
// of the stages of their stamp.
func TestWildcardPlanes(t *testing.T) {
	clock := Clock{Second: 20 * time.Millisecond}
	f, c, _ := behind(t, clock, everyKind(), nil)
	at := siteOf(f, "first", clock)
	near, far := at.distributor("deployment"), at.remoteDistributor("deployment")
	for _, p := range []*Pod{near, far} {
		p.PubSubTopic = "sh.keptn.event.>"
		Start(t, p)
	}
	key := func(name string) string { return "keptn-exec.first/" + name }
	require.Eventually(t, func() bool {
		is := shown(t, c)
		return len(is[key("far-service")].Subscriptions) == 1 && len(is[key("helm-service")].Subscriptions) == 1
	}, fed.Patience, 10*time.Millisecond)
	require.Equal(t, Filter{Projects: []string{}, Stages: []string{}, Services: []string{}}, shown(t, c)[key("helm-service")].Subscriptions[0].Filter)
	const about = `{"specversion":"1.0","id":%q,"source":"shipyard-controller","type":%q,"shkeptncontext":"k","data":{"project":"sockshop",%s"service":"carts"}}`
	say := func(typ, stage string) {
		if stage != "" {
			stage = fmt.Sprintf("%q:%q,", "stage", stage)
		}
		f.Publish("control", typ, fmt.Appendf(nil, about, "id of "+typ+stage, typ, stage))
	}
	got := func(p *Pod, typ string) (n int) {
		for _, e := range p.Received() {
			if e.TypeName() == typ {
				n++
			}
		}
		return n
	}
	const gone, project = "sh.keptn.event.service.delete.finished", "sh.keptn.event.project.create.finished"
	const ours, theirs = "sh.keptn.event.dev.delivery.finished", "sh.keptn.event.production.delivery.finished"
	say(theirs, "production")
	say(gone, "")
	say(project, "")
	say(ours, "dev")
	for _, typ := range []string{gone, project, ours} {
		for _, p := range []*Pod{near, far} {
			require.Eventually(t, func() bool { return got(p, typ) > 0 }, fed.Patience, 10*time.Millisecond, "%s: %s", p.Name, typ)
		}
	}
	for _, p := range []*Pod{near, far} {
		for _, typ := range []string{gone, project, ours} {
			require.Equal(t, 1, got(p, typ), "%s: %s", p.Name, typ)
		}
		require.Zero(t, got(p, theirs), p.Name)
	}
}

// A watched relays to the HTTP of a stamp, and notes what is answered with 5xx.
// Where nobody listens it breaks connections, as an address without a process does.
type watched struct {
	addr string

	mu  sync.Mutex // guards bad
	bad []string
}

func watch(t *testing.T, f *fed.Fed, stamp topology.StampID) *watched {
	t.Helper()
	w := &watched{}
	relay := &httputil.ReverseProxy{
		Transport: &http.Transport{DisableKeepAlives: true},
		Rewrite: func(r *httputil.ProxyRequest) {
			u, err := url.Parse(f.Stamp(stamp).RESTURL())
			if err == nil {
				r.SetURL(u)
			}
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
		ModifyResponse: func(res *http.Response) error {
			if res.StatusCode >= http.StatusInternalServerError {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.bad = append(w.bad, fmt.Sprint(res.Request.Method, " ", res.Request.URL.Path, ": ", res.Status, " ", res.Header))
			}
			return nil
		},
	}
	s := httptest.NewUnstartedServer(relay)
	s.Config.ErrorLog = relay.ErrorLog
	s.Start()
	t.Cleanup(s.Close)
	w.addr = s.Listener.Addr().String()
	return w
}

// TestRestartWhilePlanesPollThroughACut: planes that poll and post go on while
// their stamp is cut off and its gateway restarts, and again. Nothing is lost or
// done twice, and nothing is answered with 5xx.
func TestRestartWhilePlanesPollThroughACut(t *testing.T) {
	clock := Clock{Second: 100 * time.Millisecond}
	project := Project{Name: "sockshop", Stages: []Stage{{"dev", []string{"deployment", "test"}}}}
	f, c, _ := behind(t, clock, project, nil, func(o *gateway.Options) { o.Events.CanaryInterval = 50 * time.Millisecond })
	front := watch(t, f, "first")
	at := siteOf(f, "first", clock)
	at.face = front.addr
	deployed, tested := make(chan struct{}), make(chan struct{})
	pod, sdk := at.remoteDistributor("deployment"), at.remoteSDK("test")
	pod.Work = func(context.Context, Event) map[string]any { <-deployed; return nil }
	sdk.Handler = whole(func(context.Context, Event) { <-tested })
	runs := []*Process{Start(t, pod), Start(t, sdk)}
	post := func(service string) string {
		return c.Post(t, Trigger("sockshop", "dev", service, "delivery", nil))
	}
	reach := func(given func() []Event, n int) {
		t.Helper()
		require.Eventually(t, func() bool { return len(given()) == n }, patience, 10*time.Millisecond)
	}
	first := post("carts")
	reach(pod.Received, 1)
	deployed <- struct{}{}
	reach(sdk.Received, 1)
	second := post("orders")
	reach(pod.Received, 2)

	// One task of each kind is under way.
	f.Cut("first")
	f.Down("first")
	again := func() {
		f.Stop("first")
		f.Restart("first")
		lives(t, clock.of(15*time.Second), runs...) // each has polled and pinged
	}
	again()
	close(deployed)
	close(tested)
	lives(t, clock.of(5*time.Second), runs...)
	again()
	f.Heal("first")
	for _, shkeptncontext := range []string{first, second, post("catalogue")} {
		requireOnce(t, c, project, shkeptncontext)
	}
	require.Len(t, pod.Received(), 3)
	require.Len(t, sdk.Received(), 3)
	for _, p := range runs {
		p.Alive(t)
	}
	front.mu.Lock()
	defer front.mu.Unlock()
	require.Empty(t, front.bad)
}
