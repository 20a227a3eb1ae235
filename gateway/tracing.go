package gateway

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/trace"
	"github.com/ringway/ringway/gateway/otlp"
)

// tracing makes spans of what events do and sends them away.
type tracing struct {
	tracer   *trace.Tracer
	exporter *otlp.Exporter
}

// openTracing makes what traces events, unless it is off.
func (g *Gateway) openTracing() error {
	o := g.opts.Tracing
	if o.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return fmt.Errorf("open tracing: %w", err)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	me := g.force.Load().view.Me
	instance := string(me.ID)
	if g.opts.Replica.Name != "" {
		instance += "/" + g.opts.Replica.Name
	}
	e, err := otlp.New(otlp.Config{
		Endpoint: u.String(), HeadersFile: o.HeadersFile, CA: o.CA, Version: Version(),
		Resource: map[string]string{
			"service.name": "ringway", "service.instance.id": instance, "service.version": Version(),
			"ringway.stamp": string(me.ID), "ringway.geo": string(me.Geo), "ringway.ring": string(me.Ring),
		},
		Log: g.log.With("component", "tracing"), Metrics: g.reg,
	})
	if err != nil {
		return fmt.Errorf("open tracing: %w", err)
	}
	g.tracing = &tracing{tracer: trace.New(trace.Config{Me: me.ID, Ratio: o.Ratio, Put: e.Put}), exporter: e}
	return nil
}

// traced is a scribe that also makes spans, if there is tracing.
func (g *Gateway) traced(s bridge.Scribe) bridge.Scribe {
	switch t := g.tracing; {
	case t == nil:
		return s
	case s == nil:
		return t.tracer.Note
	default:
		return func(m bridge.Moment) {
			s(m)
			t.tracer.Note(m)
		}
	}
}

// tracer gives copies of events their header; nil if there is no tracing.
func (g *Gateway) tracer() bridge.Tracer {
	if g.tracing == nil {
		return nil
	}
	return g.tracing.tracer.Header
}

// runTracing sends spans until ctx ends.
func (g *Gateway) runTracing(ctx context.Context, ready func()) error {
	return g.tracing.exporter.Run(ctx, ready)
}
