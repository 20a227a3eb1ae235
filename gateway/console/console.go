package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

//go:embed pages/*.html
var pages embed.FS

//go:embed static/console.css static/console.js static/icon.svg
var static embed.FS

// Prefix is the path below which the console is.
const Prefix = "/console/"

// Config is where the console gets what it shows: the documents of the admin
// port, and what they do not say. The functions are called from many goroutines;
// each must return soon after its context ends.
type Config struct {
	// Federation returns the document of /federation. It asks all stamps.
	Federation func(ctx context.Context) any
	// Waiting returns that of /events/waiting, Planes that of /planes, and Why
	// that of /events/why; a nil Why is as if nothing was known.
	Waiting func(ctx context.Context, match string, limit int) (any, error)
	Planes  func(ctx context.Context) (any, error)
	Why     func(ctx context.Context, match string) (any, error)
	Shape   func() Shape
	Sample  func() Sample            // called every five seconds
	See     func(code string) string // where a code is explained
	Log     *slog.Logger
}

// A Console serves the pages. It is an http.Handler for everything below Prefix
// and a run.Component: what it shows is found while it runs. It is safe for
// concurrent use.
type Console struct {
	cfg     Config
	pages   *template.Template
	mux     *http.ServeMux
	watch   *watcher
	samples *samples
	assets  map[string]asset

	asking    chan struct{} // a place for each story that is asked for
	rendering chan struct{} // a place for each page that is being made
	viewers   chan struct{} // a place for each that follows
	cache     fragmentCache

	mu      sync.Mutex
	stopped chan struct{} // closed when Run is over; nil before it runs
}

const (
	// maxRendering bounds the pages that are made at the same time.
	maxRendering = 4
	// maxViewers bounds those that are told what changes.
	maxViewers = 32
	// pageLimit bounds how long a page takes.
	pageLimit = 10 * time.Second
)

type asset struct {
	body []byte
	kind string
	tag  string
}

// New returns a console that shows nothing until it runs.
func New(cfg Config) (*Console, error) {
	c := &Console{
		cfg: cfg, samples: newSamples(), assets: map[string]asset{},
		asking: make(chan struct{}, maxAsking), rendering: make(chan struct{}, maxRendering), viewers: make(chan struct{}, maxViewers),
	}
	c.watch = newWatcher(func(ctx context.Context) (federation, error) { return read[federation](cfg.Federation(ctx)) }, cfg.Shape, cfg.Log)
	for name, kind := range map[string]string{
		"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		b, err := static.ReadFile("static/" + name)
		if err != nil {
			return nil, fmt.Errorf("read %s of the console: %w", name, err)
		}
		h := fnv.New64a()
		_, _ = h.Write(b)
		c.assets[name] = asset{body: b, kind: kind, tag: fmt.Sprintf("%x", h.Sum64())}
	}
	var err error
	c.pages, err = template.New("").Funcs(template.FuncMap{
		"ago": ago, "since": func(t time.Time) string { return brief(time.Since(t)) }, "left": left, "stamped": stamped, "clock": clock, "length": length, "delay": delayWord, "join": strings.Join,
		"asset":  func(name string) string { return Prefix + "static/" + name + "?" + c.assets[name].tag },
		"count":  plural[int],
		"events": func(n int64) string { return plural(n, "event", "events") },
		"short":  func(s string) string { return strings.TrimPrefix(s, "sh.keptn.event.") },
	}).ParseFS(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("read pages of the console: %w", err)
	}
	c.routes()
	return c, nil
}

func (c *Console) routes() {
	c.mux = http.NewServeMux()
	c.mux.HandleFunc("GET "+Prefix+"{$}", c.page(c.mapPage))
	c.mux.HandleFunc("GET "+Prefix+"stamp/{name}", c.page(c.stampPage))
	c.mux.HandleFunc("GET "+Prefix+"event", c.page(c.eventPage))
	c.mux.HandleFunc("GET "+Prefix+"rates", c.page(c.ratesPage))
	c.mux.HandleFunc("GET "+Prefix+"live", c.live)
	c.mux.HandleFunc("GET "+Prefix+"static/{name}", c.asset)
	c.mux.HandleFunc("GET "+Prefix, c.page(func(*http.Request) (*view, error) { return nil, errNoPage }))
}

// policy lets a page load what this origin serves, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the console is read-only", http.StatusMethodNotAllowed)
		return
	}
	c.mux.ServeHTTP(w, r)
}

// Run asks and samples until ctx ends. Then those who follow are let go.
func (c *Console) Run(ctx context.Context, ready func()) error {
	stopped := make(chan struct{})
	c.mu.Lock()
	c.stopped = stopped
	c.mu.Unlock()
	defer close(stopped)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.watch.run(ctx) })
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	c.samples.add(c.cfg.Sample(), time.Now())
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			c.samples.add(c.cfg.Sample(), now)
		}
	}
}

// running returns what is closed when Run is over; nil if it does not run.
func (c *Console) running() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := c.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("ETag", `"`+a.tag+`"`)
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.RawQuery == a.tag {
		w.Header().Set("Cache-Control", "max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}

// A view is what a page shows.
type view struct {
	Page   string // the template of its content
	Title  string
	Nav    string // of the entry of the menu that it belongs to
	Live   string // query of the stream of its changes; empty: none
	Search string // what was searched for
	Name   string // of the federation
	Asked  string // the stamp whose gateway shows it
	At     time.Time
	Look   string // names the look that it is made of
	Data   any
	code   int // of HTTP; 0 is 200
}

var (
	errNoPage  = errors.New("there is no such page")
	errNoLook  = errors.New("the gateway is not ready, or is stopping: nothing is known yet")
	errNoStamp = errors.New("the topology has no such stamp")
)

// page makes a handler of what makes a view.
func (c *Console) page(make func(*http.Request) (*view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageLimit)
		defer cancel()
		v, err := make(r.WithContext(ctx))
		if err != nil {
			v = failure(err)
		}
		if v.Asked == "" {
			if is, _ := c.watch.want(); is != nil {
				v.about(is)
			}
		}
		b, err := c.render(ctx, "layout", v)
		if err != nil {
			http.Error(w, "too many pages at once; try again", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if v.code != 0 {
			w.WriteHeader(v.code)
		}
		_, _ = w.Write(b) // the client has gone
	}
}

func failure(err error) *view {
	v := &view{Page: "failure", Title: "Nothing to show", Data: err.Error(), code: http.StatusServiceUnavailable}
	if errors.Is(err, errNoPage) || errors.Is(err, errNoStamp) {
		v.code, v.Title = http.StatusNotFound, "Not found"
	}
	return v
}

// about says which federation is shown.
func (v *view) about(l *look) {
	v.Name, v.Asked, v.At, v.Look = l.fed.Name, l.fed.Asked, l.at, l.name()
}

// render executes a template, in turn.
func (c *Console) render(ctx context.Context, name string, data any) ([]byte, error) {
	select {
	case c.rendering <- struct{}{}:
		defer func() { <-c.rendering }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var b bytes.Buffer
	if err := c.pages.ExecuteTemplate(&b, name, data); err != nil {
		c.cfg.Log.Warn("page of the console not made", "err", err)
		return nil, err
	}
	return b.Bytes(), nil
}
