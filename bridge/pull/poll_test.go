package pull_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/pull"
	"github.com/ringway/ringway/test/keptn"
)

// TestOpenEventsArePutInOnce: over many polls and a restart, in the shape in
// which shipyard-controller publishes.
func TestOpenEventsArePutInOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	first := w.trigger("sockshop", "carts")
	second := w.trigger("sockshop", "orders")
	w.awaitCaptured(2)
	r.stop()
	third := w.trigger("sockshop", "users")
	w.run()
	out := w.awaitCaptured(3)
	polls := w.front.count("GET /api/controlPlane/v1/event/triggered/" + deployment)
	require.Eventually(t, func() bool {
		return w.front.count("GET /api/controlPlane/v1/event/triggered/"+deployment) > polls+3
	}, patience, time.Millisecond)
	require.Len(t, w.captured(), 3)
	byID := map[string]map[string]any{}
	for _, body := range out {
		e, err := bridge.Parse(deployment, []byte(body))
		require.NoError(t, err)
		byID[e.ID] = mustJSON(t, body)
	}
	require.Contains(t, byID, second.ID)
	require.Contains(t, byID, third.ID)
	got := byID[first.ID]
	require.Equal(t, "application/json", got["datacontenttype"])
	require.Equal(t, "shipyard-controller", got["source"])
	require.Equal(t, "1.0", got["specversion"])
	require.Equal(t, first.Context, got["shkeptncontext"])
	require.Equal(t, first.Commit, got["gitcommitid"])
	require.Equal(t, "0.2.4", got["shkeptnspecversion"])
	require.NotContains(t, got, "contenttype")
	require.Equal(t, mustJSON(t, string(first.Data)), got["data"])
	require.Empty(t, w.letters)
}

// TestOtherProjectsAreLeftAlone: what the topology gives to another control
// plane is not put in.
func TestOtherProjectsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.run()
	w.trigger("other", "carts")
	w.trigger("sockshop", "carts")
	w.awaitCaptured(1)
	require.Eventually(t, func() bool { return r.States()[0].Known == 2 }, patience, time.Millisecond)
	require.Len(t, w.captured(), 1)
	require.Empty(t, w.letters)
}

// A fake is an upstream that answers what a test says.
func (w *world) fake(h http.HandlerFunc) {
	srv := httptest.NewServer(h)
	w.t.Cleanup(srv.Close)
	for _, cp := range w.view.ControlPlanes {
		if cp.Poll {
			cp.API.Host = srv.Listener.Addr().String()
		}
	}
}

func open(id, stage string) string {
	return fmt.Sprintf(`{"contenttype":"application/json","data":{"project":"sockshop","stage":%q,"service":"carts","message":"<1 & 2>"},"id":%q,`+
		`"shkeptncontext":"0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33","source":"shipyard-controller","time":"2023-05-04T09:10:11.123Z","type":%q}`, stage, id, deployment)
}

// TestPagesAndTags: pages are followed, and a page that is as it was is not
// sent again.
func TestPagesAndTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var same atomic.Int32
	w.fake(func(rw http.ResponseWriter, r *http.Request) {
		key := r.URL.Query().Get("nextPageKey")
		if r.Header.Get("If-None-Match") == `"`+key+`"` {
			same.Add(1)
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		rw.Header().Set("ETag", `"`+key+`"`)
		if key == "" {
			fmt.Fprintf(rw, `{"events":[%s],"nextPageKey":"1","totalCount":2}`, open("one", "dev"))
			return
		}
		fmt.Fprintf(rw, `{"events":[%s],"nextPageKey":"0","totalCount":2}`, open("two", "dev"))
	})
	w.run()
	w.awaitCaptured(2)
	require.Eventually(t, func() bool { return same.Load() >= 4 }, patience, time.Millisecond)
	require.Len(t, w.captured(), 2)
}

// TestOwnPlanesGetTheirEvents: those for the stamp itself go to its RW_IN, once.
func TestOwnPlanesGetTheirEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fake(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"events":[%s,%s],"nextPageKey":"0"}`, open("one", "dev"), open("two", "here"))
	})
	w.run()
	w.awaitCaptured(2)
	s, err := w.fed.Stream(t.Context(), "RW_IN")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	}, patience, time.Millisecond)
	m, err := s.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, bridge.EventSubject("a", "a", bridge.KeyOf("two", deployment, deployment)), m.Subject)
	require.Equal(t, bridge.ModeWait, m.Header.Get(bridge.HeaderMode))
	require.Contains(t, string(m.Data), `"<1 & 2>"`, "what is in the data is not written in another way")
}

// TestServicesInTheirOwnForm: where the topology names them, and not the public
// API, they are called by the paths that they know, over TLS that is checked.
func TestServicesInTheirOwnForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	called := make(chan string, 100)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /v1/event/triggered/" + deployment:
			fmt.Fprintf(rw, `{"events":[%s],"nextPageKey":"0"}`, open("one", "dev"))
		case "POST /v1/event":
			called <- r.Header.Get("X-Token")
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told that its certificate is bad
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	at, err := url.Parse(srv.URL)
	require.NoError(t, err)
	cp := w.view.ControlPlanes[0]
	cp.API, cp.Services = nil, map[string]*url.URL{"shipyard-controller": at, "mongodb-datastore": at, "api-service": at}
	r := w.run()
	require.Eventually(t, func() bool { return strings.Contains(r.States()[0].Err, "certificate") }, patience, time.Millisecond)
	r.stop()
	w.edit = func(c *pull.Config) {
		a := c.Access["far"]
		a.CA = ca
		c.Access["far"] = a
	}
	r = w.run()
	w.awaitCaptured(1)
	e := keptn.Event{ID: "one", Context: "0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33", Data: []byte(`{"project":"sockshop","stage":"dev","service":"c"}`)}
	w.put(r, answer(started, e, "s", ""))
	require.Equal(t, keptn.Token, <-called)
}

// TestBadEventsAreSetAside: once, and they stop nobody.
func TestBadEventsAreSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fake(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"events":[{"id":"x","type":%q,"data":{}},{"type":%[1]q},%s],"nextPageKey":"0"}`, deployment, open("good", "dev"))
	})
	r := w.run()
	w.awaitCaptured(1)
	require.Equal(t, bridge.ReasonInvalid, (<-w.letters).Reason)
	require.Equal(t, bridge.ReasonInvalid, (<-w.letters).Reason)
	require.Equal(t, 3, r.States()[0].Known)
	r.stop()
	w.run()
	require.Len(t, w.captured(), 1)
	require.Empty(t, w.letters)
}

// TestFailuresAreWaitedOut: with back-off, as long as the control plane says.
func TestFailuresAreWaitedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var calls atomic.Int32
	first := make(chan time.Time, 1)
	second := make(chan time.Time, 1)
	w.fake(func(rw http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			first <- time.Now()
			rw.Header().Set("Retry-After", "1")
			http.Error(rw, "no", http.StatusServiceUnavailable)
		case 2:
			second <- time.Now()
			fmt.Fprint(rw, "<html>")
		default:
			fmt.Fprintf(rw, `{"events":[%s],"nextPageKey":"0"}`, open("one", "dev"))
		}
	})
	r := w.run()
	require.Greater(t, (<-second).Sub(<-first), 900*time.Millisecond)
	w.awaitCaptured(1)
	require.Eventually(t, func() bool { s := r.States()[0]; return s.Err == "" && !s.Polled.IsZero() }, patience, time.Millisecond)
}

// TestGoneEventsAreForgotten: when they have been off the list for long enough,
// and not while it only skips them.
func TestGoneEventsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit = func(c *pull.Config) { c.Keep = 300 * time.Millisecond }
	var list atomic.Pointer[string]
	set := func(s string) { list.Store(&s) }
	set(open("one", "dev") + "," + open("two", "dev"))
	w.fake(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"events":[%s],"nextPageKey":"0"}`, *list.Load())
	})
	r := w.run()
	known := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { s := r.States(); return len(s) == 1 && s[0].Known == n }, patience, time.Millisecond)
	}
	known(2)
	set(open("two", "dev"))
	known(1)
	s, err := w.js.Stream(t.Context(), pull.Stream)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	}, patience, time.Millisecond)
	require.Len(t, w.captured(), 2)
}

// TestPutInOnceAfterACrash: what was stored for others and not for the stamp's
// own planes, when the process ended, is done by the next one; and what was
// stored is not stored again.
func TestPutInOnceAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fake(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"events":[%s],"nextPageKey":"0"}`, open("one", "here"))
	})
	in, err := w.fed.Stream(t.Context(), "RW_IN")
	require.NoError(t, err)
	config := in.CachedInfo().Config
	require.NoError(t, w.fed.DeleteStream(t.Context(), "RW_IN"))
	r := w.run()
	w.awaitCaptured(1)
	require.Eventually(t, func() bool { return r.States()[0].Err != "" }, patience, time.Millisecond)
	r.stop()
	in, err = w.fed.CreateStream(t.Context(), config)
	require.NoError(t, err)
	w.run()
	require.Eventually(t, func() bool {
		info, err := in.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	}, patience, time.Millisecond)
	require.Len(t, w.captured(), 1)
}

// TestTwoProcessesPutInOnce: one that does not know yet that another has taken
// over does no harm.
func TestTwoProcessesPutInOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.runLoose(), w.runLoose()
	var tasks []keptn.Event
	for i := range 10 {
		tasks = append(tasks, w.trigger("sockshop", fmt.Sprintf("carts-%d", i)))
	}
	w.awaitCaptured(10)
	for _, e := range tasks {
		w.put(first, answer(started, e, "s"+e.ID, ""))
		w.put(second, answer(started, e, "s"+e.ID, ""))
	}
	require.Eventually(t, func() bool {
		for _, e := range tasks {
			if len(w.stored(started, e)) == 0 {
				return false
			}
		}
		return true
	}, patience, time.Millisecond)
	require.Len(t, w.captured(), 10)
	for _, e := range tasks {
		require.Len(t, w.stored(started, e), 1)
	}
}
