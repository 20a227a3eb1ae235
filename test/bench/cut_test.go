package bench_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkCut is about what happens after a link was cut for a while, with
// events published all the time. It takes minutes, and runs with LONG=1.
func BenchmarkCut(b *testing.B) {
	if os.Getenv("LONG") == "" {
		b.Skip("takes minutes: LONG=1")
	}
	for _, cut := range []time.Duration{30 * time.Second, 2 * time.Minute} {
		b.Run(cut.String(), func(b *testing.B) {
			lines, otherLines := newRelays(b), newRelays(b)
			shipped, wide := newWorld(b, lines, false), newWorld(b, otherLines, true)
			// Both at once: a link of their own each, cut and healed together.
			ours, theirs := &cutWay{way: ringwayWay(b, shipped)}, &cutWay{way: sourceWay(b, wide)}
			b.ResetTimer()
			for range b.N {
				measureCut(b, cut, []*relays{lines, otherLines}, ours, theirs)
			}
			b.StopTimer()
			reportCut(b, cut, ours, theirs)
		})
	}
}

// A cutWay is a way and what became of its events around a cut.
type cutWay struct {
	*way

	mu      sync.Mutex // guards the following fields
	arrived map[uint64]time.Time

	sent            []uint64 // in order, with when
	at              []time.Time
	first, caughtUp time.Duration // after the link was back
	lost, twice     int
}

func (c *cutWay) take(n uint64, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.arrived[n].IsZero() {
		c.twice++
		return
	}
	c.arrived[n] = at
}

// run sends at the rate until done is closed.
func (c *cutWay) run(m *maker, done <-chan struct{}) {
	c.arrived, c.sent, c.at, c.twice = map[uint64]time.Time{}, nil, nil, 0
	c.listen(c.take)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		body, n := m.next()
		c.sent, c.at = append(c.sent, n), append(c.at, time.Now())
		c.send(body)
	}
}

// judge works out what came when after heal.
func (c *cutWay) judge(heal time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first, c.caughtUp, c.lost = time.Hour, 0, 0
	for i, n := range c.sent {
		at := c.arrived[n]
		switch {
		case at.IsZero():
			c.lost++
		case at.After(heal):
			c.first = min(c.first, at.Sub(heal))
			if c.at[i].Before(heal) {
				c.caughtUp = max(c.caughtUp, at.Sub(heal))
			}
		}
	}
}

func (c *cutWay) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.arrived) >= len(c.sent)
}

func measureCut(b *testing.B, cut time.Duration, lines []*relays, ways ...*cutWay) {
	b.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i, w := range ways {
		n := counted + uint64(i+1)<<32 // numbers of their own
		m := newMaker(b, 1024, &n)
		wg.Go(func() { w.run(m, done) })
	}
	<-time.After(3 * time.Second)
	for _, l := range lines {
		l.cut()
	}
	<-time.After(cut)
	heal := time.Now()
	for _, l := range lines {
		l.heal()
	}
	<-time.After(5 * time.Second)
	close(done)
	wg.Wait()
	for _, w := range ways {
		require.Eventually(b, w.complete, 3*time.Minute, 10*time.Millisecond, "%s: events are missing", w.name)
		w.judge(heal)
		require.Zero(b, w.lost, "%s: events are missing", w.name)
		b.Logf("%s: first after %v, caught up after %v, %d twice", w.name, w.first, w.caughtUp, w.twice)
	}
	require.Zero(b, ways[0].twice, "events came twice")
}

func reportCut(b *testing.B, cut time.Duration, ours, theirs *cutWay) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.first.Seconds(), "first-s")
	b.ReportMetric(ours.caughtUp.Seconds(), "caught-up-s")
	b.ReportMetric(theirs.caughtUp.Seconds(), "sourcing-caught-up-s")
	for _, r := range []struct {
		name       string
		our, their time.Duration
		bar        time.Duration
	}{{"first event", ours.first, theirs.first, time.Second}, {"caught up", ours.caughtUp, theirs.caughtUp, 3 * time.Second}} {
		report.add(row{
			what: fmt.Sprintf("c. after a cut of %.0f s, %s", cut.Seconds(), r.name), command: "make bench LONG=1 ONLY=Cut",
			figure: seconds(r.our), against: seconds(r.their) + " sourcing", ratio: fmt.Sprintf("%.2g ×", float64(r.our)/float64(r.their)),
			bar: fmt.Sprintf("≤ %.0f s", r.bar.Seconds()), met: r.our <= r.bar,
		})
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
