package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A metric is a row of docs/metrics.md, which a test of the gateway compares
// with what gateways export.
type metric struct {
	kind   string
	labels []string
}

func metrics(t *testing.T) map[string]metric {
	t.Helper()
	out := map[string]metric{}
	rows := regexp.MustCompile("(?m)^\\| `(ringway_[a-z_]+)` \\| (gauge|counter|histogram) \\| ([a-z, ]*)\\|")
	for _, m := range rows.FindAllStringSubmatch(string(read(t, "../../docs/metrics.md")), -1) {
		of := metric{kind: m[2]}
		if names := strings.TrimSpace(m[3]); names != "" {
			of.labels = strings.Split(names, ", ")
		}
		out[m[1]] = of
	}
	require.Greater(t, len(out), 50)
	return out
}

// fromScrape are the labels that come from who scrapes.
var fromScrape = []string{"namespace", "pod", "stamp", "instance", "job"}

var (
	selector = regexp.MustCompile(`\b((?:ringway|process|go)_[a-z_]+)(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+) *(=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left) *\(([^)]*)\)`)
)

// namesExist checks that an expression asks for metrics that are exported, by
// labels that they have, and by rate only for what counts.
func namesExist(t *testing.T, where, expr string) {
	t.Helper()
	known := metrics(t)
	all := append(slices.Clone(fromScrape), "le")
	found := selector.FindAllStringSubmatchIndex(expr, -1)
	require.NotEmpty(t, found, "%s asks for nothing: %s", where, expr)
	for _, at := range found {
		name := expr[at[2]:at[3]]
		if !strings.HasPrefix(name, "ringway_") {
			continue // of the process, as every exporter in Go has it
		}
		base := name
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			if m, ok := known[strings.TrimSuffix(name, end)]; ok && m.kind == "histogram" {
				base = strings.TrimSuffix(name, end)
			}
		}
		require.Contains(t, known, base, "%s: nothing exports %s", where, name)
		is := known[base]
		require.Equal(t, is.kind == "histogram", base != name, "%s: %s", where, name)
		all = append(all, is.labels...)
		if at[4] >= 0 {
			for _, m := range matcher.FindAllStringSubmatch(expr[at[4]:at[5]], -1) {
				require.Contains(t, append(slices.Clone(fromScrape), is.labels...), m[1], "%s: %s has no such label", where, name)
			}
		}
		ranged := strings.HasPrefix(expr[at[1]:], "[")
		rated := regexp.MustCompile(`\b(rate|irate|increase)\($`).MatchString(expr[:at[0]])
		require.Equal(t, is.kind != "gauge" && ranged, rated, "%s: a counter is rated and a gauge is not: %s", where, expr)
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			require.Contains(t, all, strings.TrimSpace(label), "%s: nothing has such a label: %s", where, expr)
		}
	}
}

// TestAlertsNameMetricsThatExist also says which label an alert speaks of.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	known := metrics(t)
	spoken := regexp.MustCompile(`\$labels\.([a-z]+)`)
	for _, r := range rules(t) {
		namesExist(t, r.Alert, r.Expr)
		var has []string
		for _, m := range selector.FindAllStringSubmatch(r.Expr, -1) {
			has = append(has, known[strings.TrimSuffix(m[1], "_bucket")].labels...)
		}
		for _, m := range spoken.FindAllStringSubmatch(r.Annotations["summary"], -1) {
			require.Contains(t, append(has, fromScrape...), m[1], r.Alert)
		}
	}
}
