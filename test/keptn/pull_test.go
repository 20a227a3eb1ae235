package keptn

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// byHTTP runs the world with a Keptn that no NATS reaches: its own is elsewhere,
// and the control stamp polls and posts. What is between them, the topology and
// options may be changed.
func byHTTP(
	t *testing.T, replicas int, front func(http.Handler) http.Handler, edit func(string) string, options ...func(*gateway.Options),
) (*fed.Fed, *ControlPlane) {
	t.Helper()
	c := &ControlPlane{
		NATS:  "nats://app:x@" + natstest.StartStamp(t).Addr(),
		Store: NewStore(Clock{Second: 200 * time.Millisecond}, shop(), tools),
	}
	Start(t, c)
	endpoint := c.Endpoint()
	if front != nil {
		srv := httptest.NewServer(front(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward(c, w, r) })))
		t.Cleanup(srv.Close)
		endpoint = srv.URL + "/api"
	}
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(Token), 0o600))
	text := strings.Replace(world, "{name: keptn, stamp: control}", fmt.Sprintf("{name: keptn, stamp: control, api: {url: %q, poll: true}}", endpoint), 1)
	text = strings.Replace(text, "roles: [control]", fmt.Sprintf("roles: [control]\n    replicas: %d", replicas), 1)
	if edit != nil {
		text = edit(text)
	}
	f := fed.New(t, text, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.ControlPlanes = map[string]gateway.ControlPlane{"keptn": {TokenFile: token}}
		o.Pull.Interval, o.Pull.Settle = 20*time.Millisecond, 300*time.Millisecond
		o.Pull.Types = nil
		for _, s := range shop().Stages {
			for _, task := range s.Tasks {
				o.Pull.Types = append(o.Pull.Types, prefix+task+"."+kindTrig)
			}
		}
	}}, options...)...)
	// Keptn runs longer than the federation, which looks for what is left open.
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return f, c
}

// TestControlPlaneByHTTP: what is reached by HTTP only gets its sequences done
// once and where they belong, also over a restart of the stamp that polls.
func TestControlPlaneByHTTP(t *testing.T) {
	f, c := byHTTP(t, 1, nil, nil)
	at, done := make(chan struct{}), make(chan struct{})
	first := pod(t, f, "first", nil)
	second := pod(t, f, "second", func(context.Context, Event) map[string]any { close(at); <-done; return nil })
	shkeptncontext := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	<-at
	f.Stop("control")
	close(done)
	f.Restart("control")
	requireOnce(t, c, shop(), shkeptncontext)
	require.Equal(t, map[string]int{"dev": 2, "hardening": 2}, stages(first))
	require.Equal(t, map[string]int{"production": 1}, stages(second))
	require.Len(t, f.Status("control").Polled, 1)
	require.Empty(t, f.Status("control").Polled[0].Err)
}

// TestControlPlaneByHTTPPollsWhatPlanesSubscribeTo: no type is named, and planes
// of other stamps, of which one comes later, get what they subscribe to.
func TestControlPlaneByHTTPPollsWhatPlanesSubscribeTo(t *testing.T) {
	f, c := byHTTP(t, 1, nil, nil, func(o *gateway.Options) {
		o.Pull.Types, o.Planes.Behalf, o.Planes.Announce = nil, 10*time.Millisecond, 100*time.Millisecond
	})
	var topics []string
	for _, s := range shop().Stages {
		for _, task := range s.Tasks {
			topics = append(topics, prefix+task+"."+kindTrig)
		}
	}
	topic := strings.Join(topics, ",")
	first := topicPod(t, f, "first", topic, nil)
	shkeptncontext := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Eventually(t, func() bool { return stages(first)["hardening"] == 2 }, fed.Patience, 10*time.Millisecond)
	second := topicPod(t, f, "second", topic, nil)
	requireOnce(t, c, shop(), shkeptncontext)
	require.Equal(t, map[string]int{"dev": 2, "hardening": 2}, stages(first))
	require.Equal(t, map[string]int{"production": 1}, stages(second))
}

// plain leaves no connection open.
var plain = &http.Transport{DisableKeepAlives: true}

// forward hands a call on to a control plane.
func forward(c *ControlPlane, w http.ResponseWriter, r *http.Request) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+c.Public+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(err)
	}
	req.Header = r.Header.Clone()
	resp, err := plain.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // the caller has gone
}

// TestControlPlaneByHTTPWithFaults: of the calls that post, some are taken and
// not answered, and some are refused or broken before they are taken.
func TestControlPlaneByHTTPWithFaults(t *testing.T) {
	var n atomic.Int32
	f, c := byHTTP(t, 1, func(on http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				on.ServeHTTP(w, r)
				return
			}
			switch n.Add(1) % 12 {
			case 1:
				on.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			case 4:
				http.Error(w, "busy", http.StatusServiceUnavailable)
			case 7:
				http.Error(w, "slowly", http.StatusTooManyRequests)
			case 10:
				_, _ = io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			default:
				on.ServeHTTP(w, r)
			}
		})
	}, nil)
	first, second := pod(t, f, "first", nil), pod(t, f, "second", nil)
	const sequences = 3
	var contexts []string
	for i := range sequences {
		contexts = append(contexts, c.Post(t, Trigger("sockshop", "dev", fmt.Sprintf("carts-%d", i), "delivery", nil)))
	}
	for _, shkeptncontext := range contexts {
		requireOnce(t, c, shop(), shkeptncontext)
	}
	require.Equal(t, map[string]int{"dev": 2 * sequences, "hardening": 2 * sequences}, stages(first))
	require.Equal(t, map[string]int{"production": sequences}, stages(second))
	require.Empty(t, c.Store.Late())
}

// TestControlPlaneByHTTPFromReplicas: one of three replicas polls; when it is
// gone another goes on.
func TestControlPlaneByHTTPFromReplicas(t *testing.T) {
	f, c := byHTTP(t, 3, nil, nil)
	at, done := make(chan struct{}), make(chan struct{})
	pod(t, f, "first", nil)
	pod(t, f, "second", func(context.Context, Event) map[string]any { close(at); <-done; return nil })
	shkeptncontext := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	<-at
	f.StopReplica("control", f.Active("control"))
	close(done)
	requireOnce(t, c, shop(), shkeptncontext)
}
