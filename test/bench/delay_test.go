package bench_test

import (
	"runtime"
	"testing"
	"time"
)

// oneWay is the delay of a long line, in each direction.
const oneWay = 50 * time.Millisecond

// BenchmarkDelay is about a link that is long: what an event takes on it beyond
// the delay itself, and whether the line is kept full. The line is the same
// relay with the delay and without it.
func BenchmarkDelay(b *testing.B) {
	lines := newRelays(b)
	w := ringwayWay(b, newWorld(b, lines, false))
	m := newMaker(b, 1024, &counted)
	var beyond, delayed, undelayed []float64
	b.ResetTimer()
	for range b.N {
		beyond, delayed, undelayed = nil, nil, nil
		for range 4 {
			lines.delay(oneWay)
			l := w.steady(m, 2*time.Second)
			beyond = append(beyond, float64(quantile(l, 0.5)-oneWay))
			n, _ := w.full(m, loads()[0], 3*time.Second)
			delayed = append(delayed, n)
			lines.delay(0)
			runtime.GC()
			n, _ = w.full(m, loads()[0], 3*time.Second)
			undelayed = append(undelayed, n)
		}
	}
	b.StopTimer()
	const command = "make bench ONLY=Delay"
	more, kept := spreadOf(beyond), ratios(delayed, undelayed)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(more.mid+float64(oneWay), "p50-ns")
	b.ReportMetric(spreadOf(delayed).mid, "events/s")
	b.ReportMetric(kept.mid, "events/undelayed")
	report.add(row{
		what: "d. 50 ms one-way delay, p50", command: command,
		figure: micro(more.mid + float64(oneWay)), against: micro(float64(oneWay)),
		ratio: "+ " + micro(more.mid) + " (" + micro(more.low) + " to " + micro(more.high) + ")",
		bar:   "≤ + 5 ms", met: more.mid <= float64(5*time.Millisecond),
	})
	r := row{
		what: "d. 50 ms one-way delay, throughput, 1 KB", command: command,
		figure: perSecond(delayed), against: perSecond(undelayed) + " without",
	}
	r.ratio, r.bar, r.met = atLeast(kept, 0.8)
	report.add(r)
}
