package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// measured has a stamp of everything that has metrics of its own: a hub with
// the control plane, one with replicas, and one that keeps its NATS.
const measured = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev, prod]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: "hub.example:7422"}}}
  - {name: many, geo: eu, ring: prod, replicas: 3}
  - {name: old, geo: eu, ring: prod, clients: {mode: external, url: %q, leafnode: %q}}
controlPlanes: [{name: k, stamp: hub}]
stages: [{name: prod, ring: prod}]
`

// A listed is a row of the tables in docs/metrics.md.
type listed struct {
	name, kind, help string
	labels           []string
}

func documented(t *testing.T) map[string]listed {
	t.Helper()
	out := map[string]listed{}
	rows := regexp.MustCompile("(?m)^\\| `(ringway_[a-z_]+)` \\| (gauge|counter|histogram) \\| ([a-z, ]*)\\| (.+) \\|$")
	for _, m := range rows.FindAllStringSubmatch(metricsDoc(t), -1) {
		l := listed{name: m[1], kind: m[2], help: m[4]}
		if names := strings.TrimSpace(m[3]); names != "" {
			l.labels = strings.Split(names, ", ")
			slices.Sort(l.labels)
		}
		require.NotContains(t, out, l.name, "listed twice")
		out[l.name] = l
	}
	require.Greater(t, len(out), 50)
	return out
}

func metricsDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	return string(text)
}

// described matches how a prometheus.Desc prints itself.
var described = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

// exported returns the labels of every metric that a gateway has registered,
// by name, whether it has a series by now or not.
func exported(g *gateway.Gateway) map[string][]string {
	out := map[string][]string{}
	ch := make(chan *prometheus.Desc)
	go func() {
		g.Registry().Describe(ch)
		close(ch)
	}()
	for d := range ch {
		m := described.FindStringSubmatch(d.String())
		labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(labels)
		out[m[1]] = labels
	}
	return out
}

// scrape returns what a gateway shows at /metrics.
func scrape(t *testing.T, g *gateway.Gateway) map[string]*dto.MetricFamily {
	t.Helper()
	code, body := get(t, g.AdminURL()+"/metrics")
	require.Equal(t, http.StatusOK, code)
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	return families
}

// TestMetricsAreAsDocumented compares what running gateways export with
// docs/metrics.md, both ways: names, types, labels, buckets.
func TestMetricsAreAsDocumented(t *testing.T) {
	leaf := natstest.Addr(t)
	ext := natstest.Start(t, func(o *server.Options) {
		host, port, _ := strings.Cut(leaf, ":")
		o.LeafNode.Host = host
		o.LeafNode.Port, _ = strconv.Atoi(port)
	})
	f := fed.New(t, fmt.Sprintf(measured, ext.URL(), "nats-leaf://"+leaf), noticeSoon, func(o *gateway.Options) {
		o.Tracing = gateway.Tracing{Endpoint: "http://127.0.0.1:1", Insecure: true} // no traces, but their metrics
	})
	const subject = "sh.keptn.event.deployment.triggered"
	tap := f.Tap("many", subject, "")
	f.Publish("hub", subject, keptnEvent(subject, "1", "prod"))
	tap.Next()

	docs := documented(t)
	seen := map[string]bool{}
	gateways := []*gateway.Gateway{f.Stamp("hub").Gateway(), f.Stamp("old").Gateway(), f.Replica("many", f.Active("many")).Gateway()}
	for _, g := range gateways {
		require.Eventually(t, func() bool {
			return scrape(t, g)["ringway_canary_clock_offset_seconds"] != nil
		}, fed.Patience, fed.Patience/200, "no canary came back")
		for name, labels := range exported(g) {
			if !strings.HasPrefix(name, "ringway_") {
				continue // of the Go runtime and the process
			}
			seen[name] = true
			require.Contains(t, docs, name, "docs/metrics.md does not list it")
			require.ElementsMatch(t, docs[name].labels, labels, "labels of %s", name)
		}
		sizes := histograms(t)
		for name, family := range scrape(t, g) {
			if !strings.HasPrefix(name, "ringway_") {
				continue
			}
			require.Contains(t, seen, name, "is shown and not described")
			require.Equal(t, docs[name].kind, strings.ToLower(family.GetType().String()), name)
			if h := family.GetMetric()[0].GetHistogram(); h != nil {
				require.Equal(t, sizes[name], len(h.GetBucket())+2, "series of one %s: buckets with +Inf, sum and count", name)
			}
		}
	}
	for name := range docs {
		require.True(t, seen[name], "docs/metrics.md lists %s, which nothing exports", name)
	}
}

// TestMetricsAreWellNamed holds the names to the rules of promlint. What is
// linted is the list, for a metric that has no series yet is not shown.
func TestMetricsAreWellNamed(t *testing.T) {
	var families []*dto.MetricFamily
	for _, l := range documented(t) {
		kind := map[string]dto.MetricType{
			"gauge": dto.MetricType_GAUGE, "counter": dto.MetricType_COUNTER, "histogram": dto.MetricType_HISTOGRAM,
		}[l.kind]
		one := &dto.Metric{}
		for _, name := range l.labels {
			one.Label = append(one.Label, &dto.LabelPair{Name: new(name), Value: new("x")})
		}
		families = append(families, &dto.MetricFamily{Name: new(l.name), Help: new(l.help), Type: kind.Enum(), Metric: []*dto.Metric{one}})
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// histograms returns how many series one of each makes, as documented.
func histograms(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(ringway_[a-z_]+)` \\| (\\d+) \\|$").FindAllStringSubmatch(metricsDoc(t), -1) {
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		out[m[1]] = n
	}
	return out
}

// labelValues returns how many values each label has at most, as documented.
func labelValues(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| (`[a-z`, ]+`) \\| .+ \\| (\\d+) \\|$").FindAllStringSubmatch(metricsDoc(t), -1) {
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		for label := range strings.SplitSeq(m[1], ", ") {
			out[strings.Trim(label, "`")] = n
		}
	}
	return out
}

// TestCardinality fills every metric with all values of its labels, for a
// gateway that deals with 299 other stamps, and compares what comes of it with
// what docs/metrics.md says.
func TestCardinality(t *testing.T) {
	values, sizes := labelValues(t), histograms(t)
	series, size := fill(t, values, sizes)
	values["reason"], values["result"] = 1, 1
	normal, _ := fill(t, values, sizes)
	want := fmt.Sprintf("**%d series and %d MiB**", series, (size+1<<19)>>20)
	text := strings.ReplaceAll(metricsDoc(t), "\n", " ")
	require.True(t, strings.Contains(text, want), "docs/metrics.md does not say %s", want)
	values["to"], values["from"], values["peer"] = 1, 1, 1
	leaf, _ := fill(t, values, sizes)
	for _, n := range []int{normal, leaf} {
		want := fmt.Sprintf("**%d series**", n)
		require.True(t, strings.Contains(text, want), "docs/metrics.md does not say %s", want)
	}
}

// fill returns how many series there are, and the size of a scrape in bytes.
func fill(t *testing.T, values, sizes map[string]int) (series, size int) {
	t.Helper()
	reg := prometheus.NewRegistry()
	for _, l := range documented(t) {
		var set func(...string)
		switch l.kind {
		case "histogram":
			require.Contains(t, sizes, l.name)
			v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: l.name, Help: l.help, Buckets: prometheus.LinearBuckets(1, 1, sizes[l.name]-3)}, l.labels)
			reg.MustRegister(v)
			set = func(with ...string) { v.WithLabelValues(with...).Observe(0) }
		default:
			v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: l.name, Help: l.help}, l.labels)
			reg.MustRegister(v)
			set = func(with ...string) { v.WithLabelValues(with...).Set(1) }
		}
		combine(t, values, l.labels, nil, set)
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	var text bytes.Buffer
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(t, err)
	}
	for line := range bytes.Lines(text.Bytes()) {
		if line[0] != '#' {
			series++
		}
	}
	return series, text.Len()
}

func combine(t *testing.T, values map[string]int, labels, with []string, set func(...string)) {
	t.Helper()
	if len(with) == len(labels) {
		set(with...)
		return
	}
	name := labels[len(with)]
	require.Contains(t, values, name, "docs/metrics.md does not say how many values label %s has", name)
	for i := range values[name] {
		combine(t, values, labels, append(slices.Clone(with), fmt.Sprintf("value-%03d", i)), set)
	}
}

// ofStamps is a topology of a hub and so many leaves.
func ofStamps(leaves int) string {
	var b strings.Builder
	b.WriteString("apiVersion: ringway/v1\nkind: Topology\nname: test\ngeos: [eu]\nrings: [dev]\nstamps:\n" +
		"  - {name: hub, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: \"hub.example:7422\"}}}\n")
	for i := range leaves {
		fmt.Fprintf(&b, "  - {name: s%d, geo: eu, ring: dev}\n", i)
	}
	b.WriteString("controlPlanes: [{name: k, stamp: hub}]\nstages: [{name: dev, ring: dev}]\n")
	return b.String()
}

// TestSeriesOf300Stamps: a gateway with 300 stamps in its topology, none of
// which answers, shows no more than what docs/metrics.md allows, and forgets
// those that leave the topology.
func TestSeriesOf300Stamps(t *testing.T) {
	f := fed.Prepare(t, ofStamps(1)) // the others need no identity to be away
	require.NoError(t, f.Stamp("hub").Start(t.Context()))
	g := f.Stamp("hub").Gateway()
	per := func(name string) int { return len(scrape(t, g)[name].GetMetric()) }
	has := func(n int, names ...string) func() bool {
		return func() bool {
			return !slices.ContainsFunc(names, func(name string) bool { return per(name) != n })
		}
	}
	require.NoError(t, f.SetTopology([]byte(ofStamps(299))))
	require.Eventually(t, has(299, "ringway_canary_age_seconds"), fed.Patience, fed.Patience/100)
	const subject = "sh.keptn.event.deployment.triggered"
	f.Publish("hub", subject, keptnEvent(subject, "1", "dev"))
	require.Eventually(t, has(299, "ringway_outbox_events", "ringway_outbox_held_seconds", "ringway_events_routed_total"), fed.Patience, fed.Patience/100)
	values, docs := labelValues(t), documented(t)
	for name, family := range scrape(t, g) {
		most := 1
		for _, label := range docs[name].labels {
			most *= values[label]
		}
		if strings.HasPrefix(name, "ringway_") {
			require.LessOrEqual(t, len(family.GetMetric()), most, name)
		}
	}
	require.NoError(t, f.SetTopology([]byte(ofStamps(1))))
	require.Eventually(t, has(1, "ringway_canary_age_seconds"), fed.Patience, fed.Patience/100)
}
