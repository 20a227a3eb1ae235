package otlp_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	otlptrace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ringway/ringway/bridge/trace"
	"github.com/ringway/ringway/gateway/otlp"
)

func exporter(t *testing.T, cfg otlp.Config) (*otlp.Exporter, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	cfg.Metrics, cfg.Log, cfg.Version = reg, slog.New(slog.DiscardHandler), "1.0"
	e, err := otlp.New(cfg)
	require.NoError(t, err)
	return e, reg
}

// counted returns how many spans there are of each result.
func counted(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	out := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		out[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	return out
}

// run lets an exporter run until the function it returns is called.
func run(t *testing.T, e *otlp.Exporter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, func() {}) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func span(name string) trace.Span {
	return trace.Span{Trace: trace.ID{1}, ID: trace.SpanID{2}, Name: name, Kind: trace.Internal, Start: time.Now(), End: time.Now()}
}

// TestNothingWaits: with a collector that never answers, as many spans as there is
// room for wait, the rest is counted, and a stop is in time.
func TestNothingWaits(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(hang) })
	e, reg := exporter(t, otlp.Config{Endpoint: s.URL})
	stop := run(t, e)
	for range 20_000 {
		e.Put(span("x"))
	}
	stop()
	sum := 0.0
	for _, n := range counted(t, reg) {
		sum += n
	}
	require.InDelta(t, 20_000, sum, 0, "every span is counted once")
}

// TestLastSpans: what is left when the process stops is sent; by TLS, with the
// headers that the file has by then.
func TestLastSpans(t *testing.T) {
	got := make(chan *otlptrace.TracesData, 1)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var data otlptrace.TracesData
		if r.Header.Get("X-Token") != "new" || proto.Unmarshal(body, &data) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		got <- &data
	}))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca, headers := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "headers")
	var text bytes.Buffer
	require.NoError(t, pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	require.NoError(t, os.WriteFile(ca, text.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(headers, []byte("X-Token: old\n"), 0o600))
	e, reg := exporter(t, otlp.Config{Endpoint: s.URL, CA: ca, HeadersFile: headers, Resource: map[string]string{"ringway.stamp": "a"}})
	e.Put(span("last"))
	require.NoError(t, os.WriteFile(headers, []byte("X-Token: new\n"), 0o600))
	run(t, e)()
	data := <-got
	is := data.GetResourceSpans()[0]
	require.Equal(t, "ringway.stamp", is.GetResource().GetAttributes()[0].GetKey())
	require.Equal(t, "last", is.GetScopeSpans()[0].GetSpans()[0].GetName())
	require.Equal(t, map[string]float64{"exported": 1, "dropped": 0, "failed": 0}, counted(t, reg))
}

// TestBadFiles are found at the start.
func TestBadFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(file, []byte("not a header\n"), 0o600))
	for _, cfg := range []otlp.Config{{HeadersFile: file}, {HeadersFile: "nowhere"}, {CA: file}, {CA: "nowhere"}} {
		cfg.Metrics = prometheus.NewRegistry()
		_, err := otlp.New(cfg)
		require.Error(t, err)
	}
}
