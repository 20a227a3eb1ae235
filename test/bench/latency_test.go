package bench_test

import (
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rate is that of a busy Keptn: events a second.
const rate = 200

// counted numbers the measured events of all ways.
var counted uint64 = 1 << 32

// A latency is how long the events of one turn took, in order.
type latency []time.Duration

// steady sends at the rate for d and returns when everything has arrived.
func (w *way) steady(m *maker, d time.Duration) latency {
	w.tb.Helper()
	n := int(d.Seconds() * rate)
	sent := make([]time.Time, n)
	first := *m.n + 1
	type arrival struct {
		n  uint64
		at time.Time
	}
	arrived := make(chan arrival, 2*n)
	w.listen(func(n uint64, at time.Time) { arrived <- arrival{n, at} })
	runtime.GC()
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		body, _ := m.next()
		sent[i] = time.Now()
		w.send(body)
	}
	out := make(latency, 0, n)
	limit := time.After(30 * time.Second)
	for len(out) < n {
		select {
		case a := <-arrived:
			if a.n >= first {
				out = append(out, a.at.Sub(sent[a.n-first]))
			}
		case <-limit:
			require.FailNow(w.tb, "events are missing", "%s: %d of %d arrived", w.name, len(out), n)
		}
	}
	slices.Sort(out)
	return out
}

// A series is what the turns of one way came to.
type series struct{ p50, p99, perSecond, cpu []float64 }

func (s *series) add(l latency) {
	s.p50 = append(s.p50, float64(quantile(l, 0.5)))
	s.p99 = append(s.p99, float64(quantile(l, 0.99)))
}

// BenchmarkLatency is about one durable event from a client of one stamp to a
// subscriber of another one.
func BenchmarkLatency(b *testing.B) {
	ways := allWays(b)
	m := newMaker(b, 1024, &counted)
	got := map[string]*series{}
	b.ResetTimer()
	for range b.N {
		got = takeTurns(ways, 6, func(w *way, s *series) {
			s.add(w.steady(m, 2*time.Second))
		})
	}
	b.StopTimer()
	reportLatency(b, got)
}

// allWays opens the gateway's way and those it is compared with. The streams
// that source have a pair of gateways of their own, of the same kind, whose
// links let more through. ALONE=1 leaves out the baselines, for a profile.
func allWays(tb testing.TB) []*way {
	tb.Helper()
	shipped := newWorld(tb, newDirect(tb), false)
	if os.Getenv("ALONE") != "" {
		return []*way{ringwayWay(tb, shipped)}
	}
	wide := newWorld(tb, newDirect(tb), true)
	return []*way{ringwayWay(tb, shipped), coreWay(tb, shipped), sourceWay(tb, wide), dispatchWay(tb, wide), forwardWay(tb, wide)}
}

// takeTurns measures the ways one after another, and again. What one has written is
// on the disk before the next begins: a server forces its files there every two
// seconds, and that would be counted as the next one's, of which one way follows
// core NATS, which writes nothing.
func takeTurns(ways []*way, turns int, measure func(*way, *series)) map[string]*series {
	out := map[string]*series{}
	for turn := range turns + 1 {
		for _, w := range ways {
			s := &series{}
			if turn > 0 { // the first is to warm up
				if out[w.name] == nil {
					out[w.name] = s
				}
				s = out[w.name]
			}
			measure(w, s)
			syscall.Sync()
		}
	}
	return out
}

func reportLatency(b *testing.B, got map[string]*series) {
	b.Helper()
	const command = "make bench ONLY=Latency"
	rw := got["ringway"]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(spreadOf(rw.p50).mid, "p50-ns")
	b.ReportMetric(spreadOf(rw.p99).mid, "p99-ns")
	b.ReportMetric(rate, "events/s")
	for _, c := range []struct {
		way      string
		p50, p99 float64 // bars; 0 for none
		label    string
	}{
		{"core", 2, 0, "core NATS"},
		{"sourcing", 1.1, 2, "sourcing"},
		{"dispatch", 0, 0, "sourcing + dispatch"},
		{"forward", 0, 0, "a bare forwarder"},
	} {
		base := got[c.way]
		if base == nil {
			continue
		}
		p50, p99 := ratios(rw.p50, base.p50), ratios(rw.p99, base.p99)
		b.ReportMetric(p50.mid, "p50/"+c.way)
		b.ReportMetric(p99.mid, "p99/"+c.way)
		for _, q := range []struct {
			name      string
			ratio     spread
			bar       float64
			of, other []float64
		}{{"p50", p50, c.p50, rw.p50, base.p50}, {"p99", p99, c.p99, rw.p99, base.p99}} {
			r := row{
				what: "a. latency at 200/s, " + q.name + ", against " + c.label, command: command,
				figure: micro(spreadOf(q.of).mid), against: micro(spreadOf(q.other).mid), ratio: q.ratio.times(),
			}
			if q.bar > 0 {
				r.ratio, r.bar, r.met = atMost(q.ratio, q.bar)
			}
			report.add(r)
		}
	}
}

// micro returns nanoseconds for people.
func micro(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
