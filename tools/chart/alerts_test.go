package chart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A rule is one alert of the chart.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

// rules renders the alerts of a stamp of three replicas, which has them all.
func rules(t *testing.T, args ...string) []rule {
	t.Helper()
	args = append([]string{"template", "test", chartDir, "--namespace", "ringway", "--show-only", "templates/prometheusrule.yaml"}, args...)
	out, stderr, err := helm(t, append(args, flags(t, cases(t)["hub"])...)...)
	require.NoError(t, err, stderr)
	var is struct {
		Spec struct {
			Groups []group `json:"groups"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(out), &is))
	require.Len(t, is.Spec.Groups, 1)
	return is.Spec.Groups[0].Rules
}

// promtool returns where it is. It is Debian's package prometheus; whoever sets
// RINGWAY_PROMTOOL, as .ci/run does, wants it to be there.
func promtool(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		require.Empty(t, os.Getenv("RINGWAY_PROMTOOL"), "there is no promtool: apt-get install prometheus")
		t.Skip("there is no promtool: apt-get install prometheus")
	}
	return path
}

func runPromtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), promtool(t), args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func yamlFile(t *testing.T, file string, v any) {
	t.Helper()
	b, err := yaml.Marshal(v)
	require.NoError(t, err)
	writeFile(t, file, string(b))
}

// An alertCase is one of testdata/alerts.yaml.
type alertCase struct {
	Alert   string            `json:"alert"`
	After   string            `json:"after"`
	Pod     bool              `json:"pod"`
	Fires   map[string]string `json:"fires"`
	Quiet   map[string]string `json:"quiet"`
	Labels  map[string]string `json:"labels"`
	Summary string            `json:"summary"`
}

// TestAlerts lets each alert fire, and not fire where it is close, in promtool.
func TestAlerts(t *testing.T) {
	var all []alertCase
	require.NoError(t, yaml.UnmarshalStrict(read(t, "testdata/alerts.yaml"), &all))
	have := rules(t)
	dir := t.TempDir()
	yamlFile(t, filepath.Join(dir, "rules.yaml"), object{"groups": []group{{"ringway", have}}})
	var tests []object
	for i, r := range have {
		require.Less(t, i, len(all), "testdata/alerts.yaml has no case for %s", r.Alert)
		c := all[i]
		require.Equal(t, r.Alert, c.Alert, "testdata/alerts.yaml is in the order of the rules")
		labels := map[string]string{}
		for _, more := range []map[string]string{r.Labels, c.Labels} {
			for k, v := range more {
				labels[k] = v
			}
		}
		if c.Pod {
			labels["pod"], labels["namespace"] = "test-ringway-0", "ringway"
		}
		note := map[string]string{"summary": "Stamp control: " + c.Summary + ".", "runbook_url": r.Annotations["runbook_url"]}
		tests = append(tests,
			alertTest(c, c.Fires, []object{{"exp_labels": labels, "exp_annotations": note}}),
			alertTest(c, c.Quiet, []object{}))
	}
	require.Len(t, all, len(have))
	yamlFile(t, filepath.Join(dir, "tests.yaml"), object{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": tests})
	runPromtool(t, "check", "rules", filepath.Join(dir, "rules.yaml"))
	runPromtool(t, "test", "rules", filepath.Join(dir, "tests.yaml"))
}

func alertTest(c alertCase, series map[string]string, want []object) object {
	var in []object
	for s, values := range series {
		if !strings.Contains(s, "pod=") {
			name, labels, _ := strings.Cut(strings.TrimSuffix(s, "}"), "{")
			s = name + "{" + strings.TrimPrefix(labels+`,pod="test-ringway-0"}`, ",")
		}
		in = append(in, object{"series": strings.Replace(s, "{", `{namespace="ringway",`, 1), "values": values})
	}
	after := c.After
	if after == "" {
		after = "45m"
	}
	return object{
		"name": c.Alert, "interval": "1m", "input_series": in,
		"alert_rule_test": []object{{"eval_time": after, "alertname": c.Alert, "exp_alerts": want}},
	}
}

// runbookHeading matches the heading of an alert in docs/runbooks.md.
var runbookHeading = regexp.MustCompile(`(?m)^## (Ringway[A-Za-z]+)$`)

// TestEveryAlertHasARunbook, with what it means, why it happens, where to look and
// what to do, and a link to it; and there is none without an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	text := string(read(t, "../../docs/runbooks.md"))
	at := runbookHeading.FindAllStringSubmatchIndex(text, -1)
	var pages []string
	for i, m := range at {
		name := text[m[2]:m[3]]
		body := text[m[1]:]
		if i+1 < len(at) {
			body = text[m[1]:at[i+1][0]]
		}
		for _, part := range []string{"**Means.**", "**Causes.**", "**Look.**", "**Do.**"} {
			require.Contains(t, body, part, name)
		}
		pages = append(pages, name)
	}
	var names []string
	for _, r := range rules(t) {
		names = append(names, r.Alert)
		require.Equal(t, "https://runbooks.example.com/"+strings.ToLower(r.Alert), r.Annotations["runbook_url"])
		require.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"])
		require.Contains(t, text, fmt.Sprintf("## %s\n\n*%s*", r.Alert, r.Labels["severity"]), "the page says how severe it is")
	}
	slices.Sort(names)
	slices.Sort(pages)
	require.Equal(t, names, pages)
	require.Contains(t, string(read(t, chartDir+"values.yaml")), "runbookBaseURL: https://github.com/ringway/ringway/blob/main/docs/runbooks.md#\n")
}

// TestAlertsCanBeChanged: left out, given another severity, other thresholds.
func TestAlertsCanBeChanged(t *testing.T) {
	changed := rules(t, "--set", "metrics.prometheusRule.disabled={RingwayPlanesGone}",
		"--set", "metrics.prometheusRule.alertLabels.team=platform", "--set", "metrics.prometheusRule.thresholds.canarySeconds=77")
	require.Len(t, changed, len(rules(t))-1)
	for _, r := range changed {
		require.NotEqual(t, "RingwayPlanesGone", r.Alert)
		require.Equal(t, "platform", r.Labels["team"])
		if r.Alert == "RingwayStampOutOfReach" {
			require.True(t, strings.HasSuffix(r.Expr, "> 77"), r.Expr)
		}
	}
}
