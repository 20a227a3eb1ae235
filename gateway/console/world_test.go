package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/console"
)

// A document is JSON as the admin port has it.
type document = map[string]any

// A world is a console, and what it is told.
type world struct {
	*httptest.Server
	looks atomic.Int64 // how often all stamps were asked

	mu      sync.Mutex
	stamps  []document
	waiting []document
	planes  []document
	err     error // of what waits
	story   document
}

func newWorld(t *testing.T, stamps ...document) *world {
	t.Helper()
	w := &world{stamps: stamps}
	c, err := console.New(console.Config{
		Federation: func(context.Context) any {
			w.looks.Add(1)
			w.mu.Lock()
			defer w.mu.Unlock()
			return document{"name": "demo", "hash": "h1", "asked": "hub-1", "at": time.Now(), "stamps": w.stamps}
		},
		Waiting: func(context.Context, string, int) (any, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.waiting, w.err
		},
		Planes: func(context.Context) (any, error) { return w.planes, nil },
		Shape: func() console.Shape {
			return console.Shape{Rings: []string{"dev", "prod"}, Via: map[string][]string{"leaf-1": {"hub-1"}}}
		},
		Sample: func() console.Sample {
			return console.Sample{Sent: 10, Delivered: 20, Delay: map[string]float64{"leaf-1": 0.018}}
		},
		See: func(code string) string { return "https://docs.example/errors#" + code },
		Why: func(_ context.Context, match string) (any, error) {
			if match == "broken" {
				return nil, errors.New("journal is not readable")
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.story, nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, over := make(chan struct{}), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { over <- c.Run(ctx, func() { close(ready) }) })
	<-ready
	w.Server = httptest.NewUnstartedServer(c)
	w.Config.ReadTimeout, w.Config.WriteTimeout = time.Second, time.Second // who follows has longer
	w.Start()
	t.Cleanup(func() {
		cancel() // lets those go who follow, before the server waits for them
		require.NoError(t, <-over)
		wg.Wait()
		w.Close()
	})
	return w
}

// set changes what all stamps say.
func (w *world) set(stamps ...document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stamps = stamps
}

// get returns a page.
func (w *world) get(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := w.Client().Get(w.URL + path)
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(b)
}

// do sends a request without a body.
func (w *world) do(t *testing.T, method, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, nil)
	require.NoError(t, err)
	r, err := w.Client().Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Body.Close() })
	return r
}

func hub(name, way string) document {
	return document{"stamp": name, "geo": "emea", "ring": "prod", "way": way, "via": "gateway", "answered": true, "causes": []document{}, "status": statusOf()}
}

func leaf(name, way string) document {
	return document{
		"stamp": name, "geo": "apac", "ring": "dev", "way": way, "via": "leaf:7422", "answered": true, "causes": []document{}, "status": statusOf(),
		"canary": document{"from": "hub-1", "age": 2, "rtt": 0.018, "delay": 0.009, "of": 32},
	}
}

func statusOf() document {
	now := time.Now()
	return document{
		"version": "v0.9", "since": now.Add(-time.Hour), "ready": true, "topology": document{"hash": "h1"},
		"planes": document{"fresh": 2}, "deadLetters": 3, "parts": document{"outbox": "ok"},
		"expires": []document{{"file": "user.creds", "kind": "user", "name": "fed", "at": now.Add(300 * 24 * time.Hour)}},
	}
}

// cut is leaf-1 when its link is cut.
func cut() document {
	s := leaf("leaf-1", "down")
	s["answered"], s["status"], s["err"] = false, nil, "no answer"
	s["causes"] = []document{{
		"code": "RW-301", "side": "leaf-1 → hub-1", "addr": "hub.example:7422", "reason": "no leafnode connection from it",
		"since": time.Now().Add(-time.Minute), "waits": 1204,
	}}
	return s
}

// many returns n leaves.
func many(n int) []document {
	out := []document{hub("hub-1", "here")}
	for i := range n {
		out = append(out, leaf(fmt.Sprintf("leaf-%d", i+1), "up"))
	}
	return out
}
