package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ringway/ringway/bridge/deadletter"
)

// A Letterbox holds dead letters. Its methods return deadletter.ErrNotFound
// where there is no such letter.
type Letterbox interface {
	List(ctx context.Context, start uint64, limit int) ([]*deadletter.Entry, error)
	Get(ctx context.Context, number uint64) (*deadletter.Entry, error)
	Replay(ctx context.Context, number uint64) error
}

// Config is what the server shows. Every function is called for each request,
// from many goroutines at once.
type Config struct {
	Listen string                          // host:port; port 0 is chosen
	Ready  func() (ok bool, detail string) // whether the stamp can be served
	Status func() any                      // the body of /status
	// Federation asks all stamps how they are; the body of /federation.
	Federation func(ctx context.Context) any
	// Examine examines this gateway, or all; the body of /doctor.
	Examine func(ctx context.Context, all bool) any
	// Cross waits for the canary event with this id, which a client published,
	// and says how far events get from there; the body of /probe/{id}.
	Cross   func(ctx context.Context, id string) (any, error)
	Letters func() Letterbox // nil while there is none yet
	// Waiting returns the events that wait to be delivered, at most limit;
	// those with this id, shkeptncontext or key if match is not empty.
	Waiting func(ctx context.Context, match string, limit int) (any, error)
	// Why returns what became of an event, in all stamps; Tail calls each with
	// what happens to events, as it happens, until ctx ends: with nil where there
	// is nothing, once in a while. Their errors are ErrQuestion, or ours.
	Why  func(ctx context.Context, match string) (any, error)
	Tail func(ctx context.Context, filter url.Values, each func(line any) error) error
	// Planes returns the planes that are known, by stamp.
	Planes func(ctx context.Context) (any, error)
	// Support returns what helps somebody elsewhere to find out what is wrong,
	// without secrets; the body of /support.
	Support func() any
	// Order passes a signed order on; its error says why it does not count.
	Order   func(ctx context.Context, body []byte) (any, error)
	Metrics http.Handler //
	Console http.Handler // the pages for people, below /console/; nil for none
	Monitor http.Handler // the NATS servers' own pages, below /nats/; nil for none
}

// A Server is the admin face. It is a run.Component.
type Server struct {
	*Pages
	cfg Config
}

// New binds the address, so that it is known before Run.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg}
	var err error
	if s.Pages, err = NewPages(cfg.Listen, s.routes()); err != nil {
		return nil, fmt.Errorf("open admin face: %w", err)
	}
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.cfg.Status()) })
	mux.HandleFunc("GET /federation", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, s.cfg.Federation(r.Context()))
	})
	mux.HandleFunc("GET /doctor", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, s.cfg.Examine(r.Context(), r.URL.Query().Has("all")))
	})
	mux.HandleFunc("GET /probe/{id}", s.probe)
	mux.Handle("GET /metrics", s.cfg.Metrics)
	mux.HandleFunc("GET /events/waiting", s.waiting)
	mux.HandleFunc("GET /events/why", s.why)
	mux.HandleFunc("GET /events/tail", s.tail)
	mux.HandleFunc("GET /planes", s.planes)
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /support", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.cfg.Support()) })
	mux.HandleFunc("GET /events/dlq", s.letters(s.list))
	mux.HandleFunc("GET /events/dlq/{number}", s.letters(s.show))
	mux.HandleFunc("POST /events/dlq/{number}/replay", notForPages(s.letters(s.replay)))
	if s.cfg.Console != nil {
		mux.Handle("/console/", s.cfg.Console)
		mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	}
	if s.cfg.Monitor != nil {
		mux.Handle("GET /nats/", http.StripPrefix("/nats", s.cfg.Monitor))
	}
	return mux
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	ok, detail := s.cfg.Ready()
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = fmt.Fprintln(w, detail)
}

// waitLimit bounds how long the part that delivers is waited for.
const waitLimit = 5 * time.Second

func (s *Server) waiting(w http.ResponseWriter, r *http.Request) {
	limit := uint64(100)
	if v := r.URL.Query().Get("limit"); v != "" {
		n, err := deadletter.ParseNumber(v)
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		limit = n
	}
	ctx, cancel := context.WithTimeout(r.Context(), waitLimit)
	defer cancel()
	all, err := s.cfg.Waiting(ctx, r.URL.Query().Get("match"), int(min(limit, maxList))) //nolint:gosec // bounded
	if err != nil {
		fail(w, http.StatusServiceUnavailable, fmt.Errorf("read what waits: %w", err))
		return
	}
	reply(w, http.StatusOK, all)
}

// probeLimit bounds how long a canary event and those of others are waited for.
const probeLimit = 20 * time.Second

func (s *Server) probe(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeLimit)
	defer cancel()
	is, err := s.cfg.Cross(ctx, r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, http.StatusOK, is)
}

func (s *Server) planes(w http.ResponseWriter, r *http.Request) {
	all, err := s.cfg.Planes(r.Context())
	if err != nil {
		fail(w, http.StatusServiceUnavailable, fmt.Errorf("read planes: %w", err))
		return
	}
	reply(w, http.StatusOK, all)
}

type letterFunc func(w http.ResponseWriter, r *http.Request, box Letterbox) error

// letters answers errors in the shape Keptn's clients read.
func (s *Server) letters(f letterFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		box := s.cfg.Letters()
		if box == nil {
			fail(w, http.StatusServiceUnavailable, errors.New("the gateway is not ready"))
			return
		}
		err := f(w, r, box)
		switch {
		case errors.Is(err, deadletter.ErrNotFound):
			fail(w, http.StatusNotFound, err)
		case errors.Is(err, strconv.ErrSyntax), errors.Is(err, strconv.ErrRange):
			fail(w, http.StatusBadRequest, err)
		case err != nil:
			fail(w, http.StatusInternalServerError, err)
		}
	}
}

// maxList bounds one page of letters.
const maxList = 1000

func (s *Server) list(w http.ResponseWriter, r *http.Request, box Letterbox) error {
	start, limit := uint64(1), uint64(100)
	for name, to := range map[string]*uint64{"start": &start, "limit": &limit} {
		if v := r.URL.Query().Get(name); v != "" {
			n, err := deadletter.ParseNumber(v)
			if err != nil {
				return err
			}
			*to = n
		}
	}
	all, err := box.List(r.Context(), start, int(min(limit, maxList))) //nolint:gosec // bounded
	if err != nil {
		return err
	}
	if all == nil {
		all = []*deadletter.Entry{}
	}
	reply(w, http.StatusOK, all)
	return nil
}

func (s *Server) show(w http.ResponseWriter, r *http.Request, box Letterbox) error {
	n, err := deadletter.ParseNumber(r.PathValue("number"))
	if err != nil {
		return err
	}
	e, err := box.Get(r.Context(), n)
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, e)
	return nil
}

func (s *Server) replay(w http.ResponseWriter, r *http.Request, box Letterbox) error {
	n, err := deadletter.ParseNumber(r.PathValue("number"))
	if err != nil {
		return err
	}
	if err := box.Replay(r.Context(), n); err != nil {
		return err
	}
	reply(w, http.StatusOK, map[string]uint64{"replayed": n})
	return nil
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

func fail(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]any{"code": code, "message": err.Error()})
}
