package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/ringway/ringway/bridge/trace"
)

const (
	// maxQueue bounds the spans that wait to be sent; some 10 MB.
	maxQueue = 8192
	// maxBatch bounds those of one request.
	maxBatch = 512
	// pace is how long a span waits for others to go with it.
	pace = time.Second
	// patience bounds one request, and the last one of a process that stops.
	patience, lastPatience = 10 * time.Second, 2 * time.Second
	// tries bounds how often a batch is sent.
	tries = 4
	// maxHeaders bounds the file of headers, in bytes.
	maxHeaders = 64 << 10
)

// Config is what an Exporter needs.
type Config struct {
	Endpoint    string            // URL that spans are posted to
	HeadersFile string            // lines "name: value"; read for each request; empty: none
	CA          string            // PEM file of who has signed the collector's certificate; empty: the system's
	Resource    map[string]string // says whose the spans are
	Version     string            // of the program
	Log         *slog.Logger
	Metrics     prometheus.Registerer
}

// An Exporter sends spans. Put may be called by many at a time.
type Exporter struct {
	cfg      Config
	of       []*common.KeyValue
	client   *http.Client
	queue    chan trace.Span
	exported prometheus.Counter
	dropped  prometheus.Counter
	failed   prometheus.Counter
}

// New checks what cfg names and returns an Exporter that keeps what it is given
// until Run.
func New(cfg Config) (*Exporter, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CA != "" {
		text, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("read CA of the collector: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read CA of the collector: %s has no certificate", cfg.CA)
		}
	}
	if _, err := readHeaders(cfg.HeadersFile); err != nil {
		return nil, err
	}
	spans := promauto.With(cfg.Metrics).NewCounterVec(prometheus.CounterOpts{
		Name: "ringway_trace_spans_total",
		Help: "Spans by what became of them: exported, dropped (no room) or failed (the collector did not take them).",
	}, []string{"result"})
	e := &Exporter{
		cfg: cfg, queue: make(chan trace.Span, maxQueue),
		client: &http.Client{Timeout: patience, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: patience,
		}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		exported: spans.WithLabelValues("exported"), dropped: spans.WithLabelValues("dropped"), failed: spans.WithLabelValues("failed"),
	}
	for _, key := range slices.Sorted(maps.Keys(cfg.Resource)) {
		e.of = append(e.of, attr(key, cfg.Resource[key]))
	}
	return e, nil
}

// Put takes a span if there is room, and never waits.
func (e *Exporter) Put(s trace.Span) {
	select {
	case e.queue <- s:
	default:
		e.dropped.Inc()
	}
}

// Run sends what comes until ctx ends, and then once more what is left.
func (e *Exporter) Run(ctx context.Context, ready func()) error {
	ready()
	defer e.client.CloseIdleConnections()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var batch []trace.Span
	well := true
	for {
		full := false
		select {
		case <-ctx.Done():
			e.last(ctx, batch)
			return nil
		case s := <-e.queue:
			batch = append(batch, s)
			full = len(batch) >= maxBatch
		case <-tick.C:
			full = len(batch) > 0
		}
		if !full {
			continue
		}
		err := e.send(ctx, batch)
		if ctx.Err() != nil {
			continue // the last attempt has it
		}
		e.count(len(batch), err)
		if (err == nil) != well {
			well = err == nil
			if well {
				e.cfg.Log.Info("collector takes spans again", "addr", e.cfg.Endpoint)
			} else {
				e.cfg.Log.Warn("spans not exported", "addr", e.cfg.Endpoint, "err", err)
			}
		}
		batch = batch[:0]
	}
}

func (e *Exporter) count(n int, err error) {
	if err != nil {
		e.failed.Add(float64(n))
		return
	}
	e.exported.Add(float64(n))
}

// last sends what is left of a process that stops.
func (e *Exporter) last(ctx context.Context, batch []trace.Span) {
	for len(e.queue) > 0 {
		batch = append(batch, <-e.queue)
	}
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	_, err := e.post(ctx, batch)
	e.count(len(batch), err)
}

// send posts a batch, and again if that may help. New spans wait meanwhile, and
// are dropped when there are too many.
func (e *Exporter) send(ctx context.Context, batch []trace.Span) error {
	for n, wait := 1, time.Second; ; n, wait = n+1, 2*wait {
		again, err := e.post(ctx, batch)
		if err == nil || !again || n == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// post sends one request. again says whether it may be taken later.
func (e *Exporter) post(ctx context.Context, batch []trace.Span) (again bool, err error) {
	body, err := encode(e.of, e.cfg.Version, batch)
	if err != nil {
		return false, err
	}
	headers, err := readHeaders(e.cfg.HeadersFile)
	if err != nil {
		return true, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.Endpoint, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("send spans: %w", err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "ringway/"+e.cfg.Version)
	resp, err := e.client.Do(r)
	if err != nil {
		return true, fmt.Errorf("send spans: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // what it says is of no use
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return false, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, fmt.Errorf("send spans: the collector at %s answers %s", e.cfg.Endpoint, resp.Status)
	default:
		return false, fmt.Errorf("send spans: the collector at %s answers %s", e.cfg.Endpoint, resp.Status)
	}
}

// errHeaders reports a file of headers that is none.
var errHeaders = errors.New("want lines \"name: value\"")

func readHeaders(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // whoever runs the gateway names it
	if err != nil {
		return nil, fmt.Errorf("read headers for the collector: %w", err)
	}
	out := map[string]string{}
	n := 0
	for line := range strings.Lines(string(text[:min(len(text), maxHeaders)])) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = textproto.TrimString(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("read headers for the collector: %s:%d: %w", file, n, errHeaders)
		}
		out[name] = textproto.TrimString(value)
	}
	return out, nil
}
