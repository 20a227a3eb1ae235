package e2e_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	otlptrace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// A collector takes spans by OTLP over HTTP, as a real one does.
type collector struct {
	*httptest.Server
	away atomic.Bool

	mu    sync.Mutex // guards the following field
	spans []collected
}

// A collected span knows which stamp has sent it.
type collected struct {
	*otlptrace.Span
	stamp string
}

func (s collected) id() string     { return hex.EncodeToString(s.GetSpanId()) }
func (s collected) parent() string { return hex.EncodeToString(s.GetParentSpanId()) }

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		var data otlptrace.TracesData
		if err != nil || proto.Unmarshal(body, &data) != nil || r.URL.Path != "/v1/traces" ||
			r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Authorization") != "Bearer abc" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range data.GetResourceSpans() {
			stamp := ""
			for _, a := range of.GetResource().GetAttributes() {
				if a.GetKey() == "ringway.stamp" {
					stamp = a.GetValue().GetStringValue()
				}
			}
			for _, scope := range of.GetScopeSpans() {
				for _, s := range scope.GetSpans() {
					c.spans = append(c.spans, collected{s, stamp})
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// options make a stamp send its spans to c.
func (c *collector) options(t *testing.T) func(*gateway.Options) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(file, []byte("# for the collector\nAuthorization: Bearer abc\n"), 0o600))
	return func(o *gateway.Options) {
		o.Tracing = gateway.Tracing{Endpoint: c.URL, HeadersFile: file, Insecure: true, Ratio: 1}
	}
}

// about returns the spans of a stamp with a name that are about an event.
func (c *collector) about(stamp, name, event string) []collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []collected
	for _, s := range c.spans {
		for _, a := range s.GetAttributes() {
			if a.GetKey() == "cloudevents.event_id" && a.GetValue().GetStringValue() == event && s.GetName() == name && s.stamp == stamp {
				out = append(out, s)
			}
		}
	}
	return out
}

// one waits for the only span of that kind.
func (c *collector) one(t *testing.T, stamp, name, event string) collected {
	t.Helper()
	require.Eventually(t, func() bool { return len(c.about(stamp, name, event)) > 0 }, fed.Patience, fed.Patience/1000,
		"no span %s of event %s from stamp %s", name, event, stamp)
	all := c.about(stamp, name, event)
	require.Len(t, all, 1)
	require.LessOrEqual(t, all[0].GetStartTimeUnixNano(), all[0].GetEndTimeUnixNano())
	return all[0]
}

const (
	traced      = "7ef184dd-f821-48a2-a59e-b977694e9a61"
	publisherID = "00f067aa0ba902b7"
)

// planeAnswer answers task 1.
func planeAnswer(typ, id string) []byte {
	return []byte(strings.NewReplacer(`"id":"1"`, `"id":"`+id+`"`).Replace(string(event(typ, "1", "far", traced))))
}

// TestTrace: a task and its answers are one trace over both stamps, whose id is
// the shkeptncontext, and every span hangs on the one before. The publisher's span
// is the first, and a plane is told of the last.
func TestTrace(t *testing.T) {
	c := newCollector(t)
	f := fed.New(t, world, c.options(t))
	plane := f.Tap("wss", triggered, "helm-service")
	keptn := f.Tap("control", finished, "")

	task := nats.NewMsg(triggered)
	task.Data = event(triggered, "1", "far", traced)
	trace := strings.ReplaceAll(traced, "-", "")
	task.Header.Set("traceparent", "00-"+trace+"-"+publisherID+"-01")
	nc := f.Client("control")
	require.NoError(t, nc.PublishMsg(task))
	got := plane.Next()
	require.Equal(t, string(task.Data), string(got.Data), "nothing is added to the body")

	f.Publish("wss", started, planeAnswer(started, "2"))
	f.Publish("wss", finished, planeAnswer(finished, "3"))
	require.Equal(t, string(planeAnswer(finished, "3")), string(keptn.Next().Data))

	capture := c.one(t, "control", "capture", "1")
	require.Equal(t, publisherID, capture.parent())
	require.Equal(t, capture.id(), c.one(t, "control", "route", "1").parent())
	var forward collected
	require.Eventually(t, func() bool {
		for _, s := range c.about("control", "forward", "1") {
			if attribute(s, "ringway.peer") == "wss" {
				forward = s
			}
		}
		return forward.Span != nil
	}, fed.Patience, fed.Patience/1000)
	require.Equal(t, capture.id(), forward.parent())
	store := c.one(t, "wss", "store", "1")
	require.Equal(t, forward.id(), store.parent())
	deliver := c.one(t, "wss", "deliver", "1")
	require.Equal(t, store.id(), deliver.parent())
	require.Equal(t, "00-"+trace+"-"+deliver.id()+"-01", got.Header.Get("traceparent"))

	answered := c.one(t, "wss", "capture", "3")
	require.Equal(t, deliver.id(), answered.parent(), "an answer follows what it answers")
	back := c.one(t, "wss", "forward", "3")
	require.Equal(t, answered.id(), back.parent())
	require.Equal(t, back.id(), c.one(t, "control", "store", "3").parent())
	require.Equal(t, c.one(t, "control", "store", "3").id(), c.one(t, "control", "deliver", "3").parent())

	over := c.one(t, "control", "task", "3")
	require.Equal(t, capture.id(), over.parent())
	require.Equal(t, "started", over.GetEvents()[0].GetName())

	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		require.Equal(t, trace, hex.EncodeToString(s.GetTraceId()), s.GetName())
	}
}

func attribute(s collected, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// TestTraceOfHeldEvents: what was held while a stamp was away is one long span,
// and hangs together all the same.
func TestTraceOfHeldEvents(t *testing.T) {
	c := newCollector(t)
	f := fed.New(t, world, c.options(t), func(o *gateway.Options) { o.Events.AckTimeout = 300 * time.Millisecond })
	plane := f.Tap("wss", triggered, "helm-service")
	f.Cut("wss")
	f.Publish("control", triggered, event(triggered, "1", "far", traced))
	require.Eventually(t, func() bool {
		for _, to := range f.Status("control").Targets {
			if to.Stamp == "wss" && to.Held == 1 {
				return true
			}
		}
		return false
	}, fed.Patience, fed.Patience/1000)
	f.Heal("wss")
	plane.Next()
	store := c.one(t, "wss", "store", "1")
	require.Eventually(t, func() bool {
		for _, s := range c.about("control", "forward", "1") {
			if s.id() == store.parent() {
				return len(s.GetEvents()) == 1 && s.GetEvents()[0].GetName() == "held"
			}
		}
		return false
	}, fed.Patience, fed.Patience/1000)
}

// TestTraceOverReplicas: whichever replica a client publishes at, and whichever is
// active, the trace is one.
func TestTraceOverReplicas(t *testing.T) {
	c := newCollector(t)
	f := fed.New(t, tripled, c.options(t))
	plane := f.Tap("wss", triggered, "helm-service")
	m := nats.NewMsg(triggered)
	m.Data = event(triggered, "1", "far", traced)
	m.Header.Set("traceparent", "00-"+strings.ReplaceAll(traced, "-", "")+"-"+publisherID+"-01")
	nc, err := nats.Connect(f.Replica("control", (f.Active("control")+1)%3).Gateway().ClientURL())
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.PublishMsg(m))
	got := plane.Next()
	capture := c.one(t, "control", "capture", "1")
	require.Equal(t, publisherID, capture.parent())
	require.Contains(t, got.Header.Get("traceparent"), c.one(t, "wss", "deliver", "1").id())
}

// TestCollectorIsAway: a collector that refuses, and one that is not there, hold
// nothing up; what has no room is counted.
func TestCollectorIsAway(t *testing.T) {
	c := newCollector(t)
	c.away.Store(true)
	f := fed.New(t, world, c.options(t))
	plane := f.Tap("wss", triggered, "helm-service")
	const n = 3000
	nc := f.Client("control")
	for i := range n {
		publish(t, nc, event(triggered, string(rune('a'+i%26))+time.Duration(i).String(), "far", traced))
	}
	for range n {
		plane.Next()
	}
	require.Eventually(t, func() bool {
		body := get(t, http.MethodGet, f.Stamp("control").Gateway().AdminURL()+"/metrics")
		return strings.Contains(body, `ringway_trace_spans_total{result="dropped"}`) && !strings.Contains(body, `ringway_trace_spans_total{result="dropped"} 0`)
	}, fed.Patience, fed.Patience/100)
	require.Empty(t, c.about("control", "capture", "1"))
	c.away.Store(false)
	f.Publish("control", triggered, event(triggered, "last", "far", traced))
	c.one(t, "wss", "deliver", "last")
}
