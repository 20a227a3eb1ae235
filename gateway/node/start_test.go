package node_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// seven is a federation of three hubs and four leaves.
func seven(t testing.TB) *world {
	stamps := []*topology.Stamp{hub(t, "h0"), hub(t, "h1"), hub(t, "h2")}
	for i := range 4 {
		over := topology.TransportTLS
		if i%2 == 1 {
			over = topology.TransportWSS
		}
		stamps = append(stamps, leaf(topology.StampID("l"+strconv.Itoa(i)), over, "h"+topology.StampID(strconv.Itoa(i%3)), "h1"))
	}
	return newWorld(t, stamps...)
}

// start runs all stamps at once and returns how long it took until all were
// ready and until all links were up.
func (w *world) start() (nodes []*running, ready, linked time.Duration) {
	begin := time.Now()
	var waits []func() *running
	for _, s := range w.mesh.Stamps {
		waits = append(waits, w.launch(s.ID))
	}
	for _, wait := range waits {
		nodes = append(nodes, wait())
	}
	ready = time.Since(begin)
	for _, n := range nodes {
		n.up()
	}
	return nodes, ready, time.Since(begin)
}

func TestSevenStampsInOneProcess(t *testing.T) {
	t.Parallel()
	_, ready, linked := seven(t).start()
	t.Logf("ready after %v, linked after %v", ready, linked)
	require.Less(t, linked, long)
}

func BenchmarkStart(b *testing.B) {
	for name, which := range map[string]int{"hub": 0, "leaf": 3} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				w := seven(b)
				id := w.mesh.Stamps[which].ID
				b.StartTimer()
				n := w.run(id)
				b.StopTimer()
				require.NoError(b, n.stop())
			}
		})
	}
	b.Run("seven", func(b *testing.B) {
		var ready, linked time.Duration
		for range b.N {
			b.StopTimer()
			w := seven(b)
			b.StartTimer()
			nodes, r, l := w.start()
			b.StopTimer()
			ready, linked = ready+r, linked+l
			for _, n := range nodes {
				require.NoError(b, n.stop())
			}
		}
		b.ReportMetric(float64(ready.Milliseconds())/float64(b.N), "ms-ready")
		b.ReportMetric(float64(linked.Milliseconds())/float64(b.N), "ms-linked")
	})
}
