package bench_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A load is events of one size and how many may be on their way at once. The
// window is what keeps a way full and overruns none: a server that gets more
// than its streams can store refuses what is too much.
type load struct {
	name   string
	size   int
	window int
	one    bodyOf
	bar    float64 // of sourcing; 0: none
}

func loads() []load {
	return []load{{"1 KB", 1 << 10, 4096, eventOf, 1}, {"20 KB", 20 << 10, 1024, eventOf, 1}}
}

// opaque is events that nothing makes smaller, which nothing in Keptn's does.
func opaque() load { return load{"20 KB of random bytes", 20 << 10, 1024, opaqueOf, 0} }

// full sends for d as fast as the window allows and returns how many events a
// second arrived meanwhile, and the nanoseconds of CPU that each took on all of
// its way, its clients included. It returns when all have arrived.
func (w *way) full(m *maker, l load, d time.Duration) (perSecond, cpu float64) {
	w.tb.Helper()
	room := make(chan struct{}, l.window)
	for range l.window {
		room <- struct{}{}
	}
	var got atomic.Int64
	first := *m.n + 1
	w.listen(func(n uint64, _ time.Time) {
		if n >= first {
			got.Add(1)
			room <- struct{}{}
		}
	})
	runtime.GC()
	start, used := time.Now(), cpuTime(w.tb)
	end := time.NewTimer(d)
	defer end.Stop()
	sent := 0
	for running := true; running; {
		select {
		case <-room:
			body, _ := m.next()
			w.send(body)
			sent++
		case <-end.C:
			running = false
		}
	}
	perSecond = float64(got.Load()) / time.Since(start).Seconds()
	w.drained(func() int { return int(got.Load()) }, sent)
	return perSecond, float64(cpuTime(w.tb)-used) / float64(max(1, got.Load()))
}

// cpuTime returns what this process has used of all cores.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drained waits until everything has arrived. That an event is missing fails
// the gateway; a baseline that loses events in a burst is only told of.
func (w *way) drained(got func() int, sent int) {
	w.tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for got() < sent {
		select {
		case <-tick.C:
			continue
		case <-limit.C:
		}
		require.NotEqual(w.tb, "ringway", w.name, "events are missing: %d of %d arrived", got(), sent)
		w.tb.Logf("%s: events are missing: %d of %d arrived", w.name, got(), sent)
		return
	}
	require.Equal(w.tb, sent, got(), "%s: events came twice", w.name)
}

// BenchmarkThroughput is about as many durable events as will go.
func BenchmarkThroughput(b *testing.B) {
	for _, l := range append(loads(), opaque()) {
		b.Run("load="+l.name, func(b *testing.B) {
			ways := allWays(b)
			m := newMakerOf(b, l.size, &counted, l.one)
			var got map[string]*series
			b.ResetTimer()
			for range b.N {
				got = takeTurns(ways, 9, func(w *way, s *series) {
					n, cpu := w.full(m, l, 1500*time.Millisecond)
					s.perSecond, s.cpu = append(s.perSecond, n), append(s.cpu, cpu)
				})
			}
			b.StopTimer()
			reportThroughput(b, l, got)
		})
	}
}

func reportThroughput(b *testing.B, l load, got map[string]*series) {
	b.Helper()
	rw := got["ringway"].perSecond
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(spreadOf(rw).mid, "events/s")
	b.ReportMetric(spreadOf(got["ringway"].cpu).mid, "cpu-ns/event")
	for _, c := range []struct {
		way, label string
		bar        float64
	}{{"sourcing", "sourcing", l.bar}, {"dispatch", "sourcing + dispatch", 0}, {"forward", "a bare forwarder", 0}, {"core", "core NATS", 0}} {
		if got[c.way] == nil {
			continue
		}
		base := got[c.way].perSecond
		s := ratios(rw, base)
		b.ReportMetric(s.mid, "events/"+c.way)
		r := row{
			what: "b. throughput, " + l.name + ", against " + c.label, command: "make bench ONLY=Throughput",
			figure: perSecond(rw), against: perSecond(base), ratio: s.times(),
		}
		if c.bar > 0 {
			r.ratio, r.bar, r.met = atLeast(s, c.bar)
		}
		report.add(r)
		cpu := ratios(got["ringway"].cpu, got[c.way].cpu)
		b.ReportMetric(cpu.mid, "cpu/"+c.way)
		report.add(row{
			what: "b. throughput, " + l.name + ", CPU of an event against " + c.label, command: "make bench ONLY=Throughput",
			figure: micro(spreadOf(got["ringway"].cpu).mid), against: micro(spreadOf(got[c.way].cpu).mid), ratio: cpu.times(),
		})
	}
}

func perSecond(vs []float64) string { return fmt.Sprintf("%.0f/s", spreadOf(vs).mid) }
