package pull_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/keptn"
	"github.com/ringway/ringway/topology"
)

const patience = 20 * time.Second

const federation = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: a, geo: eu, ring: dev, roles: [control, execution], link: {kind: hub, advertise: {gateway: "127.0.0.1:1", leafnode: "127.0.0.1:2"}}}
  - {name: b, geo: eu, ring: dev}
controlPlanes:
  - {name: far, stamp: a, projects: [sockshop], api: {url: %q, poll: true}}
  - {name: near, stamp: a}
stages: [{name: dev, ring: dev, stamps: [b]}, {name: here, ring: dev, stamps: [a]}]
`

const (
	deployment = "sh.keptn.event.deployment.triggered"
	started    = "sh.keptn.event.deployment.started"
	finished   = "sh.keptn.event.deployment.finished"
)

// A fault does something to a call before or instead of handing it on.
type fault func(w http.ResponseWriter, r *http.Request, on http.Handler)

// A front is the address of a control plane, where calls can be disturbed.
type front struct {
	*httptest.Server
	mu     sync.Mutex
	faults []fault // for the next POSTs of events
	calls  map[string]int
}

func newFront(t *testing.T, on http.Handler) *front {
	f := &front{calls: map[string]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		do := func(w http.ResponseWriter, r *http.Request, on http.Handler) { on.ServeHTTP(w, r) }
		f.mu.Lock()
		f.calls[r.Method+" "+r.URL.Path]++
		if r.Method == http.MethodPost && len(f.faults) > 0 {
			do, f.faults = f.faults[0], f.faults[1:]
		}
		f.mu.Unlock()
		do(w, r, on)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) next(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

func (f *front) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// lost applies a call and loses the reply.
func lost(_ http.ResponseWriter, r *http.Request, on http.Handler) {
	on.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// broken breaks the connection before anything is done.
func broken(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

// status answers without doing anything.
func status(code int, header ...string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, `{"code":`+fmt.Sprint(code)+`,"message":"no"}`, code)
	}
}

// taken applies a call and answers with a status that says otherwise.
func taken(code int) fault {
	return func(w http.ResponseWriter, r *http.Request, on http.Handler) {
		on.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(code)
	}
}

type letters chan bridge.Letter

func (l letters) Put(_ context.Context, letter bridge.Letter) error {
	l <- letter
	return nil
}

// A world is a Keptn that is reached by HTTP, and the stamp that does so.
type world struct {
	t       *testing.T
	keptn   *keptn.ControlPlane
	front   *front
	stamp   *natstest.Stamp
	js, fed jetstream.JetStream
	view    *topology.View
	letters letters
	reg     *prometheus.Registry
	edit    func(*pull.Config)
	types   []string
}

// hop hands calls on to where Keptn is.
func hop(to func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+to()+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(err)
		}
		req.Header = r.Header.Clone()
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, stamp: natstest.StartStamp(t), letters: make(letters, 100), types: []string{deployment}, edit: func(*pull.Config) {}}
	far := natstest.StartStamp(t)
	w.keptn = &keptn.ControlPlane{
		NATS: "nats://app:x@" + far.Addr(),
		Store: keptn.NewStore(keptn.Clock{Second: 100 * time.Millisecond}, keptn.Project{Name: "sockshop", Stages: []keptn.Stage{
			{Name: "dev", Tasks: []string{"deployment"}},
		}}, keptn.Project{Name: "other", Stages: []keptn.Stage{{Name: "dev", Tasks: []string{"deployment"}}}},
			keptn.Project{Name: "local", Stages: []keptn.Stage{{Name: "dev", Tasks: []string{"deployment"}}}}),
	}
	keptn.Start(t, w.keptn)
	w.front = newFront(t, hop(func() string { return w.keptn.Public }))
	mesh, err := topology.Parse("test.yaml", fmt.Appendf(nil, federation, w.front.URL+"/api"))
	require.NoError(t, err)
	w.view, _ = mesh.View("a")
	w.js, err = jetstream.New(w.stamp.Connect("relay"))
	require.NoError(t, err)
	w.fed, err = jetstream.New(w.stamp.Connect("fed"))
	require.NoError(t, err)
	_, err = w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.sh.keptn.>"}})
	require.NoError(t, err)
	_, err = w.fed.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "RW_IN", Subjects: []string{bridge.EventsFor("a")}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
	})
	require.NoError(t, err)
	return w
}

// A running is a Client that runs.
type running struct {
	*pull.Client
	stop func()
}

// run runs a client of the stamp until the test ends or stop is called.
func (w *world) run() *running {
	w.t.Helper()
	return w.runAs(func(c *pull.Client, ctx context.Context, ready func()) error { return c.Run(ctx, ready) })
}

// runLoose runs a client that is run again when it fails, as the process does.
func (w *world) runLoose() *running {
	w.t.Helper()
	return w.runAs(func(c *pull.Client, ctx context.Context, ready func()) error {
		ready = sync.OnceFunc(ready)
		for ctx.Err() == nil {
			_ = c.Run(ctx, ready) // the other was sooner
		}
		return nil
	})
}

func (w *world) runAs(run func(*pull.Client, context.Context, func()) error) *running {
	w.t.Helper()
	token := filepath.Join(w.t.TempDir(), "token")
	require.NoError(w.t, os.WriteFile(token, []byte(keptn.Token+"\n"), 0o600))
	w.reg = prometheus.NewRegistry()
	cfg := pull.Config{
		Relay: w.stamp.Connect("relay"), Fed: w.stamp.Connect("fed"), View: func() *topology.View { return w.view },
		Router:      func() *bridge.Router { return bridge.NewRouter(w.view) },
		DeadLetters: w.letters, Access: map[string]pull.Access{"far": {TokenFile: token}}, Types: func() []string { return w.types },
		Interval: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, Settle: 200 * time.Millisecond, Timeout: 5 * time.Second,
		Log: slog.New(slog.DiscardHandler), Metrics: w.reg,
	}
	w.edit(&cfg)
	c, err := pull.New(cfg)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, over := make(chan struct{}), make(chan error, 1)
	go func() { over <- run(c, ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-over:
		require.NoError(w.t, err)
	case <-time.After(patience):
		require.Fail(w.t, "client is not ready")
	}
	r := &running{Client: c, stop: sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-over)
		cfg.Relay.Close()
		cfg.Fed.Close()
	})}
	w.t.Cleanup(r.stop)
	return r
}

// captured returns what is in RW_OUT.
func (w *world) captured() (out []string) {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), "RW_OUT")
	require.NoError(w.t, err)
	info, err := s.Info(w.t.Context())
	require.NoError(w.t, err)
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(w.t.Context(), seq)
		require.NoError(w.t, err)
		require.True(w.t, strings.HasPrefix(m.Subject, "cap."))
		out = append(out, string(m.Data))
	}
	return out
}

// awaitCaptured waits for n events in RW_OUT.
func (w *world) awaitCaptured(n int) []string {
	w.t.Helper()
	var out []string
	require.Eventually(w.t, func() bool { out = w.captured(); return len(out) >= n }, patience, 5*time.Millisecond)
	return out
}

// trigger starts a sequence in a project and returns its first task.
func (w *world) trigger(project, service string) keptn.Event {
	w.t.Helper()
	context := w.keptn.Post(w.t, keptn.Trigger(project, "dev", service, "delivery", map[string]string{"build": "<1&2>"}))
	var found keptn.Event
	require.Eventually(w.t, func() bool {
		for _, e := range w.keptn.Store.Open(deployment) {
			if e.Context == context {
				found = e
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
	return found
}

// answer makes the answer of a plane.
func answer(typ string, to keptn.Event, id, more string) bridge.Passing {
	data, _ := to.Of() // as Keptn made it
	body := fmt.Sprintf(`{"contenttype":"application/json","data":{"project":%q,"stage":%q,"service":%q,"status":"succeeded","result":"pass","n":1.50,"message":%q},`+
		`"id":%q,"shkeptncontext":%q,"shkeptnspecversion":"0.2.4","source":"my-deployer","specversion":"1.0","time":"2023-05-04T09:10:12.5Z",`+
		`"triggeredid":%q,"type":%q}`, data.Project, data.Stage, data.Service, more, id, to.Context, to.ID, typ)
	return bridge.Passing{Subject: typ, Body: []byte(body)}
}

// stored returns the events of a type and task in mongodb-datastore.
func (w *world) stored(typ string, to keptn.Event) (out []keptn.Event) {
	for _, e := range w.keptn.Store.Stored() {
		if e.TypeName() == typ && e.TriggeredID == to.ID {
			out = append(out, e)
		}
	}
	return out
}

// requireStored waits until a type is there for a task, and stays there, n times.
func (w *world) requireStored(typ string, to keptn.Event, n int) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return len(w.stored(typ, to)) == n }, patience, 5*time.Millisecond, "%v", w.stored(typ, to))
}

// settled waits until nothing is left to post.
func (w *world) settled(r *running) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		s := r.States()
		return len(s) == 1 && s[0].Waiting == 0
	}, patience, 5*time.Millisecond)
}

func mustJSON(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&out))
	return out
}
