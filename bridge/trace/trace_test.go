package trace_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/trace"
)

const keptnContext = "7ef184dd-f821-48a2-a59e-b977694e9a61"

// TestTraceIsTheContext: whoever knows the shkeptncontext knows the trace.
func TestTraceIsTheContext(t *testing.T) {
	require.Equal(t, "7ef184ddf82148a2a59eb977694e9a61", fmt.Sprintf("%x", trace.Of(keptnContext, "e")))
	require.Equal(t, trace.Of("no uuid", "e"), trace.Of("no uuid", "f"))
	require.NotEqual(t, trace.Of("", "e"), trace.Of("", "f"))
	for _, odd := range []string{"", "00000000-0000-0000-0000-000000000000", "7ef184dd-f821-48a2-a59e-b977694e9a6", "zzf184dd-f821-48a2-a59e-b977694e9a61", "7-f184dd-f821-48a2-a59e-b977694e9a61"} {
		require.NotEqual(t, trace.ID{}, trace.Of(odd, "e"), odd)
	}
}

func TestHeader(t *testing.T) {
	const good = "00-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-01"
	p, ok := trace.ParseParent(good)
	require.True(t, ok)
	require.True(t, p.Sampled)
	require.Equal(t, good, p.String())
	_, ok = trace.ParseParent("cc-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-01-later")
	require.True(t, ok, "a later version may say more")
	for _, bad := range []string{
		"", "x", "00-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-01-more", "ff-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-7ef184ddf82148a2a59eb977694e9a61-0000000000000000-01",
		"00-7EF184DDF82148A2A59EB977694E9A61-00f067aa0ba902b7-01", "00-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-0x",
	} {
		_, ok := trace.ParseParent(bad)
		require.False(t, ok, bad)
	}
}

// tracer returns one that puts its spans into the slice.
func tracer(ratio float64) (*trace.Tracer, *[]trace.Span) {
	var out []trace.Span
	return trace.New(trace.Config{Me: "hub", Ratio: ratio, Put: func(s trace.Span) { out = append(out, s) }}), &out
}

func captured(id, context, header string) bridge.Moment {
	return bridge.Moment{Step: bridge.StepCaptured, At: time.Now(), About: bridge.About{ID: id, Type: "t", Context: context}, Trace: header}
}

// TestPublishersTrace: a publisher that has begun this trace is the parent, one
// that has another is linked, and what it decided holds.
func TestPublishersTrace(t *testing.T) {
	tr, out := tracer(0)
	tr.Note(captured("1", keptnContext, ""))
	require.Empty(t, *out, "the ratio is 0")
	tr.Note(captured("2", keptnContext, "00-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-01"))
	require.Len(t, *out, 1)
	require.Equal(t, "00f067aa0ba902b7", fmt.Sprintf("%x", (*out)[0].Parent))
	require.Zero(t, (*out)[0].Link)
	require.Regexp(t, "^00-7ef184ddf82148a2a59eb977694e9a61-[0-9a-f]{16}-01$", tr.Header(bridge.About{ID: "2", Context: keptnContext}, "", "leaf"))
	tr.Note(captured("3", keptnContext, "00-11111111111111111111111111111111-00f067aa0ba902b7-01"))
	require.Len(t, *out, 2)
	require.Zero(t, (*out)[1].Parent)
	require.Equal(t, "00f067aa0ba902b7", fmt.Sprintf("%x", (*out)[1].Link.Span))

	tr, out = tracer(1)
	tr.Note(captured("1", keptnContext, "00-7ef184ddf82148a2a59eb977694e9a61-00f067aa0ba902b7-00"))
	require.Empty(t, *out, "the publisher decided against it")
	require.Regexp(t, "-00$", tr.Header(bridge.About{ID: "1", Context: keptnContext}, "", "leaf"))
}

// TestRatio: of UUIDs of version 4 about as many are chosen as asked for.
func TestRatio(t *testing.T) {
	tr, out := tracer(0.25)
	const n = 4000
	for i := range n {
		id := trace.Of(fmt.Sprint(i), "") // a hash: as even as random bytes
		tr.Note(captured(fmt.Sprint(i), fmt.Sprintf("%x-%x-4%x-8%x-%x", id[:4], id[4:6], id[6:8][1:], id[8:10][1:], id[10:]), ""))
	}
	require.InDelta(t, n/4, len(*out), n/20)
}

// TestManyEvents: what is remembered is bounded, and what was forgotten does no
// harm.
func TestManyEvents(t *testing.T) {
	tr, out := tracer(1)
	for i := range 25_000 {
		tr.Note(captured(fmt.Sprint(i), keptnContext, ""))
	}
	tr.Note(bridge.Moment{Step: bridge.StepStored, About: bridge.About{ID: "0", Context: keptnContext}, Peer: "leaf"})
	last := (*out)[len(*out)-1]
	require.Equal(t, "forward", last.Name)
	require.False(t, last.End.Before(last.Start))
}

// BenchmarkNote is what a step costs where there is tracing. Without it a
// mechanism finds that its tracer is nil, and that is all.
func BenchmarkNote(b *testing.B) {
	for name, ratio := range map[string]float64{"recorded": 1, "not-recorded": 0} {
		b.Run(name, func(b *testing.B) {
			tr := trace.New(trace.Config{Me: "hub", Ratio: ratio, Put: func(trace.Span) {}})
			m := captured("1", keptnContext, "")
			b.ReportAllocs()
			for b.Loop() {
				tr.Note(m)
			}
		})
	}
	b.Run("off", func(b *testing.B) {
		var s bridge.Scribe
		m := captured("1", keptnContext, "")
		b.ReportAllocs()
		for b.Loop() {
			s.Note(m)
		}
	})
}
