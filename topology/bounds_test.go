package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// many repeats a line that may hold one %d.
func many(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i)
	}
	return b.String()
}

const head = "apiVersion: ringway/v1\nkind: Topology\nname: big\ngeos: [e]\nrings: [r]\n"

func TestTooManyEntriesAreRefused(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"stamps: has 2001 entries, and at most 2000": head + "stamps:\n" + many(2001, "- {name: s%d, geo: e, ring: r}\n"),
		"stages: has 1001 entries, and at most 1000": head + "stamps: [{name: s, geo: e, ring: r}]\nstages:\n" + many(1001, "- {name: s%d, ring: r}\n"),
		"geos: has 1001 entries, and at most 1000":   strings.Replace(head, "geos: [e]", "geos:\n"+many(1001, "- g%d\n"), 1),
	} {
		_, err := topology.Parse("x", []byte(text))
		require.ErrorContains(t, err, want)
		require.Len(t, topology.AsProblems(err), 1, "a file that is too large is not looked into")
	}
}

func TestLargestTopologyCompiles(t *testing.T) {
	t.Parallel()
	m := mesh(t, head+"stamps:\n"+
		many(1000, "- {name: h%d, geo: e, ring: r, trusted: true, link: {kind: hub, advertise: {gateway: \"h%[1]d:1\", leafnode: \"h%[1]d:2\"}}}\n")+
		many(1000, "- {name: l%d, geo: e, ring: r}\n")+
		"routes:\n"+many(1000, "- {name: r%d, subject: a%[1]d.b}\n")+
		"policies:\n"+many(1000, "- {name: p%d, effect: deny, projects: [p%[1]d]}\n"))
	require.Len(t, m.Stamp("l999").Link.Via, 1000)
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 1000} {
		text := []byte(head + "stamps:\n- {name: hub, geo: e, ring: r, trusted: true, link: {kind: hub, advertise: {leafnode: \"h:2\"}}}\n" +
			many(n-1, "- {name: s%d, geo: e, ring: r, labels: {tier: gold}}\n"))
		b.Run(fmt.Sprintf("%d stamps", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := topology.Parse("b.yaml", text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
