package poll

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge/call"
)

// A Server serves planes that poll, and is the bridge.Sink of what they may see.
// Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	js      jetstream.JetStream
	open    atomic.Pointer[opened] // nil: not yet
	index   *index
	cache   *cache
	who     who
	what    what
	flights flights
	about   about
	metrics *metrics
	wg      sync.WaitGroup
}

// New checks cfg and returns a Server that knows of no event until Run.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	js, err := jetstream.New(cfg.Relay, jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return &Server{
		cfg: cfg, js: js, index: newIndex(), cache: newCache(), metrics: newMetrics(cfg.Metrics),
		flights: flights{byKey: map[string]*flight{}},
	}, nil
}

// ServeCall serves what a plane that polls needs of Keptn beside its registration:
//
//	shipyard-controller  GET /v1/event/triggered/<type>, POST /v1/event
//	api-service          POST /v1/event, /v1/auth, GET /v1/metadata
//
// Keptn's shipyard-controller has a POST /v1/event that nobody else hears of; here
// it is the same as that of api-service.
func (s *Server) ServeCall(w http.ResponseWriter, r *http.Request, c call.Call) bool {
	path, query, _ := strings.Cut(c.Target, "?")
	path = "/" + strings.TrimLeft(path, "/") // an endpoint with a slash at its end
	api, shipyard := c.Service == call.API, c.Service == call.Shipyard
	switch {
	case shipyard && strings.HasPrefix(path, openPath) && r.Method == http.MethodGet:
		typ, err := url.PathUnescape(strings.TrimPrefix(path, openPath))
		if err != nil || typ == "" || strings.Contains(typ, "/") {
			return false
		}
		s.serveOpen(w, r, c.Plane, typ, query)
	case (api || shipyard) && path == "/v1/event" && r.Method == http.MethodPost:
		s.servePost(w, r, c.Plane)
	case api && path == "/v1/auth":
		w.WriteHeader(http.StatusOK) // who asks has shown its token to the face
	case api && path == "/v1/metadata" && r.Method == http.MethodGet:
		s.serveAbout(w, r)
	default:
		return false
	}
	return true
}

const openPath = "/v1/event/triggered/"

const jsonType = "application/json; charset=utf-8"

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":500,"message":"answer not written"}`)
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client has gone
}

// refuse writes an error in the shape of Keptn's. code is status but where Keptn
// has another.
func refuse(w http.ResponseWriter, status, code int, message string) {
	answer(w, status, struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, message})
}

// unavailable says that the stamp's own store does not take anything now. Nothing
// that another stamp does leads to this.
func unavailable(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, http.StatusServiceUnavailable, "the stamp cannot store events now: "+err.Error())
}

// bounded returns a context that ends with both.
func bounded(r *http.Request) (context.Context, context.CancelFunc) {
	// A client that goes away must not leave a post half done.
	return context.WithTimeout(context.WithoutCancel(r.Context()), postTimeout)
}
