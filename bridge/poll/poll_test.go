package poll_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/poll"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

const federation = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: a, geo: eu, ring: dev, roles: [control, execution], link: {kind: hub, advertise: {gateway: "127.0.0.1:1", leafnode: "127.0.0.1:2"}}}
  - {name: b, geo: eu, ring: dev}
controlPlanes: [{name: k, stamp: a, projects: [p, q]}]
stages: [{name: one, ring: dev, stamps: [b]}, {name: two, ring: dev, stamps: [b]}, {name: mine, ring: dev, stamps: [a]}]
`

const (
	deploy     = "sh.keptn.event.deployment.triggered"
	eventually = 10 * time.Second
	tick       = time.Millisecond
)

// A register is poll.Planes in memory.
type register struct {
	mu     sync.Mutex // guards the following fields
	planes map[string][]poll.Integration
	polled []string
	seen   []string
}

func (r *register) Integrations(plane string) []poll.Integration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.planes[plane]
}

func (r *register) Polled(subject string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.polled {
		if topology.Pattern(p).Match(topology.Subject(subject)) {
			return true
		}
	}
	for _, all := range r.planes {
		for _, i := range all {
			for _, s := range i.Subscriptions {
				if topology.Pattern(s.Event).Match(topology.Subject(subject)) {
					return true
				}
			}
		}
	}
	return false
}

func (r *register) Seen(plane, eventType string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, plane+" "+eventType)
}

// register registers an integration under a plane, for subscriptions.
func (r *register) register(plane, name string, subs ...poll.Subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.planes[plane]
	r.planes[plane] = append(have[:len(have):len(have)], poll.Integration{ID: fmt.Sprint(plane, name, len(have)), Name: name, Subscriptions: subs})
}

// A bench is a stamp whose planes poll.
type bench struct {
	testing.TB
	stamp    *natstest.Stamp
	reg      *register
	srv      *poll.Server
	http     *httptest.Server
	edit     func(*poll.Config)
	me       topology.StampID
	topology string
	stop     func()
	ended    func() <-chan error // where the error of a run comes that ends by itself
	js       jetstream.JetStream
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := newStopped(t)
	b.start()
	return b
}

func newStopped(t testing.TB) *bench {
	t.Helper()
	b := &bench{TB: t, stamp: natstest.StartStamp(t), reg: &register{planes: map[string][]poll.Integration{}}, me: "b", topology: federation, edit: func(*poll.Config) {}}
	b.http = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.http.Close)
	var err error
	b.js, err = jetstream.New(b.stamp.Connect("relay"))
	require.NoError(t, err)
	_, err = b.js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.sh.keptn.>"}})
	require.NoError(t, err)
	return b
}

func (b *bench) start() {
	b.Helper()
	mesh, err := topology.Parse("t.yaml", []byte(b.topology))
	require.NoError(b, err)
	view, ok := mesh.View(b.me)
	require.True(b, ok)
	router := bridge.NewRouter(view)
	cfg := poll.Config{
		Me: b.me, Relay: b.stamp.Connect("relay"), Deliver: b.stamp.Connect("deliver"), Planes: b.reg,
		Router: func() *bridge.Router { return router }, View: func() *topology.View { return view },
		Log: slog.New(slog.DiscardHandler),
	}
	b.edit(&cfg)
	b.srv, err = poll.New(cfg)
	require.NoError(b, err)
	b.again()
	b.Cleanup(func() { b.stop() })
}

// again runs the same server once more.
func (b *bench) again() {
	b.Helper()
	part := natstest.Run(b, b.srv.Run)
	b.stop, b.ended = part.Stop, part.Ended
}

// serve is the face: /p/<plane>/api/….
func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	c := call.Call{Service: call.API, Public: true, Target: r.RequestURI}
	if rest, ok := strings.CutPrefix(c.Target, "/p/"); ok {
		c.Plane, c.Target, _ = strings.Cut(rest, "/")
		c.Target = "/" + c.Target
	}
	c.Target = strings.TrimPrefix(c.Target, "/api")
	if rest, ok := strings.CutPrefix(c.Target, "/controlPlane"); ok {
		c.Service, c.Target = call.Shipyard, rest
	}
	if !b.srv.ServeCall(w, r, c) {
		http.Error(w, "tunnel", http.StatusTeapot)
	}
}

// event returns an event of a type in a stage.
func event(typ, id, context, stage string, more ...string) []byte {
	extra := ""
	if len(more) > 0 {
		extra = `,"triggeredid":"` + more[0] + `"`
	}
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"shipyard-controller","type":%q,"datacontenttype":"application/json",`+
		`"time":"2026-01-01T00:00:00.5Z","shkeptncontext":%q,"data":{"project":"p","stage":%q,"service":"c","n":1.50}%s}`, id, typ, context, stage, extra)
}

func (b *bench) put(local bool, bodies ...[]byte) {
	b.Helper()
	var events []bridge.Passing
	for _, body := range bodies {
		t, err := bridge.TypeOf(body)
		require.NoError(b, err)
		events = append(events, bridge.Passing{Subject: t, Body: body, Local: local})
	}
	require.NoError(b, b.srv.Put(context.Background(), events))
}

// An answer is what a poll gets.
type answer struct {
	status int
	tag    string
	Events []struct {
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	} `json:"events"`
	NextPageKey  string `json:"nextPageKey"`
	TotalCount   int    `json:"totalCount"`
	KeptnContext string `json:"keptnContext"`
	Code         int    `json:"code"`
	Message      string `json:"message"`
	text         string
}

func (a answer) ids() string {
	var out []string
	for _, e := range a.Events {
		out = append(out, e.ID)
	}
	return strings.Join(out, " ")
}

func (b *bench) do(method, path string, body []byte, headers ...string) answer {
	b.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, b.http.URL+path, bytes.NewReader(body))
	require.NoError(b, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	a := answer{status: resp.StatusCode, tag: resp.Header.Get("ETag"), text: string(text)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		require.NoError(b, json.Unmarshal(text, &a), "%s", text)
	}
	return a
}

// poll polls as a plane, for a type and perhaps a query.
func (b *bench) poll(plane, typ string, headers ...string) answer {
	b.Helper()
	return b.do(http.MethodGet, "/p/"+plane+"/api/controlPlane/v1/event/triggered/"+typ, nil, headers...)
}

func (b *bench) post(plane string, body []byte, headers ...string) answer {
	b.Helper()
	return b.do(http.MethodPost, "/p/"+plane+"/api/v1/event", body, headers...)
}

// captured returns the bodies of RW_OUT.
func (b *bench) captured() []string {
	b.Helper()
	return b.bodies("RW_OUT")
}

func (b *bench) bodies(stream string) (out []string) {
	b.Helper()
	st, err := b.js.Stream(context.Background(), stream)
	require.NoError(b, err)
	info := st.CachedInfo()
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		if m, err := st.GetMsg(context.Background(), seq); err == nil {
			out = append(out, string(m.Data))
		}
	}
	return out
}

func (b *bench) subscribe(subject string) *nats.Subscription {
	b.Helper()
	nc := b.stamp.Connect("app")
	sub, err := nc.SubscribeSync(subject)
	require.NoError(b, err)
	require.NoError(b, nc.Flush())
	return sub
}

func replaced(body []byte, old, new string) []byte {
	return bytes.Replace(body, []byte(old), []byte(new), 1)
}
