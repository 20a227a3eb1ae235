package otlp

import (
	"fmt"
	"time"

	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	otlptrace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ringway/ringway/bridge/trace"
)

// scope names what makes the spans.
const scope = "github.com/ringway/ringway/bridge/trace"

// encode returns the body of a request. ExportTraceServiceRequest and TracesData
// look the same on the wire; the latter needs no gRPC.
func encode(of []*common.KeyValue, version string, spans []trace.Span) ([]byte, error) {
	out := make([]*otlptrace.Span, 0, len(spans))
	for i := range spans {
		out = append(out, spanOf(&spans[i]))
	}
	body, err := proto.Marshal(&otlptrace.TracesData{ResourceSpans: []*otlptrace.ResourceSpans{{
		Resource: &resource.Resource{Attributes: of},
		ScopeSpans: []*otlptrace.ScopeSpans{{
			Scope: &common.InstrumentationScope{Name: scope, Version: version}, Spans: out,
		}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	return body, nil
}

func spanOf(s *trace.Span) *otlptrace.Span {
	out := &otlptrace.Span{
		TraceId: s.Trace[:], SpanId: s.ID[:], Name: s.Name, Kind: otlptrace.Span_SpanKind(s.Kind), //nolint:gosec // one of three
		StartTimeUnixNano: nano(s.Start), EndTimeUnixNano: nano(s.End), Flags: 1,
	}
	if s.Parent != (trace.SpanID{}) {
		out.ParentSpanId = s.Parent[:]
	}
	if s.Link != (trace.Parent{}) {
		out.Links = []*otlptrace.Span_Link{{TraceId: s.Link.Trace[:], SpanId: s.Link.Span[:]}}
	}
	if s.Failed != "" {
		out.Status = &otlptrace.Status{Code: otlptrace.Status_STATUS_CODE_ERROR, Message: s.Failed}
	}
	for _, a := range s.Attrs {
		out.Attributes = append(out.Attributes, attr(a.Key, a.Value))
	}
	for _, e := range s.Events {
		event := &otlptrace.Span_Event{Name: e.Name, TimeUnixNano: nano(e.At)}
		if e.Text != "" {
			event.Attributes = []*common.KeyValue{attr("ringway.detail", e.Text)}
		}
		out.Events = append(out.Events, event)
	}
	return out
}

func attr(key string, value any) *common.KeyValue {
	v := &common.AnyValue{}
	switch value := value.(type) {
	case int:
		v.Value = &common.AnyValue_IntValue{IntValue: int64(value)}
	default:
		v.Value = &common.AnyValue_StringValue{StringValue: fmt.Sprint(value)}
	}
	return &common.KeyValue{Key: key, Value: v}
}

func nano(t time.Time) uint64 { return uint64(max(t.UnixNano(), 0)) } //nolint:gosec // not negative
