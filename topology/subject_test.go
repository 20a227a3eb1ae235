package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    topology.Pattern
		s    topology.Subject
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{">", "", false},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"a.>", "b.c", false},
		{"*.>", "a.b", true},
		{"*.>", "a", false},
		{"A", "a", false},
	} {
		require.Equal(t, c.want, c.p.Match(c.s), "%s takes %s", c.p, c.s)
	}
}

func TestPatternCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p, q topology.Pattern
		want bool
	}{
		{"a", "a", true},
		{"a", "*", false},
		{"*", "a", true},
		{"*", "*", true},
		{"*", ">", false},
		{">", "*", true},
		{">", ">", true},
		{">", "a.b", true},
		{"a.>", "a", false},
		{"a.>", "a.*", true},
		{"a.>", "a.>", true},
		{"a.*", "a.>", false},
		{"a.*", "a.b.c", false},
		{"a.b", "a", false},
		{"*.b", "a.*", false},
		{"*.>", "a.b.>", true},
		{"a.>", "*.>", false},
	} {
		require.Equal(t, c.want, c.p.Covers(c.q), "%s covers %s", c.p, c.q)
	}
}

func TestPatternOverlaps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p, q topology.Pattern
		want bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "*", true},
		{"a", "a.b", false},
		{"*.b", "a.*", true},
		{"*.b", "a.c", false},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "*.b.c", true},
		{"a.>", "b.>", false},
		{">", "*", true},
		{"a.*.>", "a.b", false},
		{"a.*.>", "a.>", true},
	} {
		require.Equal(t, c.want, c.p.Overlaps(c.q), "%s overlaps %s", c.p, c.q)
		require.Equal(t, c.want, c.q.Overlaps(c.p), "%s overlaps %s", c.q, c.p)
	}
}

func TestPatternValid(t *testing.T) {
	t.Parallel()
	for _, p := range []topology.Pattern{"a", "*", ">", "a.*.b", "a.>", "*.>", "$x.y", "ä.b", "a-b_c"} {
		require.True(t, p.Valid(), "%q", p)
	}
	for _, p := range []topology.Pattern{"", ".", "a.", ".a", "a..b", ">.a", "a.>.b", "a*", "a.b>", "**", "a b", "a\t", "a\x00b", "a\n"} {
		require.False(t, p.Valid(), "%q", p)
	}
}
