package bench_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// routed is what a routing decision needs of an event, as anybody would read
// it.
type routed struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Source  string `json:"source"`
	Context string `json:"shkeptncontext"`
	Data    struct {
		Project string            `json:"project"`
		Stage   string            `json:"stage"`
		Service string            `json:"service"`
		Labels  map[string]string `json:"labels"`
	} `json:"data"`
}

// BenchmarkRouting is about the decision where an event goes, with everything
// that is checked about it.
func BenchmarkRouting(b *testing.B) {
	spec, err := topology.Load("bench.yaml", []byte(worldYAML))
	require.NoError(b, err)
	mesh, err := topology.Compile(spec)
	require.NoError(b, err)
	view, ok := mesh.View(from)
	require.True(b, ok)
	router := bridge.NewRouter(view)
	for _, l := range loads() {
		b.Run(fmt.Sprintf("size=%d", l.size), func(b *testing.B) {
			body := eventOf(b, l.size, rand.New(rand.NewPCG(1, 1)))
			decide := func() {
				e, err := bridge.Parse(triggered, body)
				if err != nil || len(router.Route(e).Targets) != 1 {
					b.Fatal("not routed", err)
				}
			}
			decode := func() {
				var e routed
				if err := json.Unmarshal(body, &e); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			var ours, theirs []float64
			for range b.N {
				ours, theirs = nil, nil
				for range 50 {
					ours = append(ours, perCall(decide))
					theirs = append(theirs, perCall(decode))
				}
			}
			b.StopTimer()
			reportRouting(b, l, ours, theirs, testing.AllocsPerRun(100, decide), testing.AllocsPerRun(100, decode))
		})
	}
}

// perCall returns the nanoseconds that a call of f takes, over a moment.
func perCall(f func()) float64 {
	start := time.Now()
	n := 0
	for time.Since(start) < 20*time.Millisecond {
		for range 20 {
			f()
		}
		n += 20
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func reportRouting(b *testing.B, l load, ours, theirs []float64, allocs, theirAllocs float64) {
	b.Helper()
	s := ratios(theirs, ours)
	b.ReportMetric(spreadOf(ours).mid, "ns/op")
	b.ReportMetric(allocs, "allocs/op")
	b.ReportMetric(s.mid, "json/ns")
	const command = "make bench ONLY=Routing"
	r := row{
		what: "e. routing decision, " + l.name, command: command,
		figure: nano(ours), against: nano(theirs) + " encoding/json",
	}
	r.ratio, r.bar, r.met = atLeast(s, 5)
	report.add(r)
	report.add(row{
		what: "e. routing decision, " + l.name + ", allocations", command: command,
		figure: fmt.Sprintf("%.0f", allocs), against: fmt.Sprintf("%.0f encoding/json", theirAllocs),
		bar: "≤ 2", met: allocs <= 2,
	})
}

func nano(vs []float64) string { return fmt.Sprintf("%.0f ns", spreadOf(vs).mid) }
