package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

func FuzzPattern(f *testing.F) {
	f.Add("a.*.c", "a.>", "a.b.c")
	f.Fuzz(func(t *testing.T, a, b, s string) {
		p, q, sub := topology.Pattern(a), topology.Pattern(b), topology.Subject(s)
		if !p.Valid() || !q.Valid() || !topology.Pattern(s).Valid() {
			return
		}
		if p.Covers(q) {
			require.True(t, p.Overlaps(q))
			if q.Match(sub) {
				require.True(t, p.Match(sub))
			}
		}
		if p.Match(sub) && q.Match(sub) {
			require.True(t, p.Overlaps(q))
		}
	})
}

// FuzzLoad: no input makes Load or Compile panic or hang.
func FuzzLoad(f *testing.F) {
	f.Add(small)
	f.Add("a: [b, {c: &x d}]\n---\n*x")
	f.Add("stamps: [{name: a, link: {via: [a, b]}}]\nroutes: [{subject: '*.>'}]")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := topology.Parse("fuzz.yaml", []byte(text))
		if err != nil {
			require.NotEmpty(t, topology.AsProblems(err))
			return
		}
		_, err = m.Show()
		require.NoError(t, err)
		_, _, _ = m.Mermaid(), m.Dot(), m.SVG()
	})
}
