package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// A dashboard is what Grafana reads, as far as the tests look at it.
type dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Links         []struct {
		Type        string   `json:"type"`
		Tags        []string `json:"tags"`
		KeepTime    bool     `json:"keepTime"`
		IncludeVars bool     `json:"includeVars"`
	} `json:"links"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	GridPos struct {
		X, Y, W, H int
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit       string `json:"unit"`
			Thresholds struct {
				Steps []object `json:"steps"`
			} `json:"thresholds"`
			Links []struct {
				URL string `json:"url"`
			} `json:"links"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		RefID        string `json:"refId"`
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
}

// dashboards returns those of the chart, by file name.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(chartDir + "dashboards/*.json")
	require.NoError(t, err)
	out := map[string]dashboard{}
	for _, f := range files {
		var d dashboard
		require.NoError(t, json.Unmarshal(read(t, f), &d), f)
		out[filepath.Base(f)] = d
	}
	for _, name := range []string{"overview.json", "link.json", "events.json", "identity.json"} {
		require.Contains(t, out, name)
	}
	return out
}

// variables are what Grafana puts in before it asks.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$stamp", "a|b", "$peer", "a|b")

// TestDashboards: each can be used as it is, wherever it is loaded.
func TestDashboards(t *testing.T) {
	all := dashboards(t)
	uids := map[string]bool{}
	for _, d := range all {
		require.NotContains(t, uids, d.UID)
		uids[d.UID] = true
	}
	for name, d := range all {
		require.GreaterOrEqual(t, d.SchemaVersion, 41, name)
		require.NotEmpty(t, d.Description, name)
		require.Contains(t, d.Tags, "ringway", name)
		has := map[string]string{}
		for _, v := range d.Templating.List {
			has[v.Name] = v.Type
			if v.Definition != "" {
				query := strings.TrimPrefix(v.Definition, "label_values(")
				namesExist(t, name, variables.Replace(query))
			}
		}
		require.Equal(t, "datasource", has["datasource"], name)
		require.Equal(t, "query", has["stamp"], name)
		require.Equal(t, "dashboards", d.Links[0].Type, "%s leads to the others", name)
		require.True(t, d.Links[0].KeepTime && d.Links[0].IncludeVars, name)
		require.Equal(t, []string{"ringway"}, d.Links[0].Tags)
		ids, cells := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			require.False(t, ids[p.ID], "%s: %d is the id of two panels", name, p.ID)
			ids[p.ID] = true
			place(t, cells, p)
			if p.Type != "row" {
				wellMade(t, name+": "+p.Title, p, has, uids)
			}
		}
	}
}

// place notes the cells of the grid that a panel takes.
func place(t *testing.T, cells map[[2]int]string, p panel) {
	t.Helper()
	require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
	for x := range p.GridPos.W {
		for y := range p.GridPos.H {
			at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
			require.Empty(t, cells[at], "%s lies on %s", p.Title, cells[at])
			cells[at] = p.Title
		}
	}
}

func wellMade(t *testing.T, where string, p panel, has map[string]string, uids map[string]bool) {
	t.Helper()
	require.True(t, strings.HasSuffix(p.Description, "."), "%s: a description is a sentence", where)
	require.Equal(t, "${datasource}", p.Datasource.UID, where)
	require.NotEmpty(t, p.FieldConfig.Defaults.Unit, where)
	require.NotEmpty(t, p.FieldConfig.Defaults.Thresholds.Steps, where)
	require.NotEmpty(t, p.Targets, where)
	for _, target := range p.Targets {
		require.Contains(t, target.Expr, `stamp=~"$stamp"`, where)
		require.False(t, strings.Contains(target.Expr, "$peer") && has["peer"] == "", where)
		namesExist(t, where, variables.Replace(target.Expr))
	}
	for _, l := range p.FieldConfig.Defaults.Links {
		uid, _, _ := strings.Cut(strings.TrimPrefix(l.URL, "/d/"), "?")
		require.True(t, uids[uid], "%s leads to %s, which is no dashboard", where, uid)
	}
}

// TestDashboardsParse has promtool read every expression, as a rule.
func TestDashboardsParse(t *testing.T) {
	var records []object
	add := func(expr string) {
		records = append(records, object{"record": fmt.Sprintf("panel:%d", len(records)), "expr": variables.Replace(expr)})
	}
	for _, d := range dashboards(t) {
		for _, a := range d.Annotations.List {
			add(a.Expr)
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				add(target.Expr)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	yamlFile(t, file, object{"groups": []object{{"name": "panels", "rules": records}}})
	runPromtool(t, "check", "rules", file)
}

// TestEveryMetricIsLookedAt: what is exported is on a dashboard or in an alert.
func TestEveryMetricIsLookedAt(t *testing.T) {
	var used strings.Builder
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				used.WriteString(target.Expr + "\n")
			}
		}
	}
	for _, r := range rules(t) {
		used.WriteString(r.Expr + "\n")
	}
	seen := map[string]bool{}
	for _, m := range selector.FindAllStringSubmatch(used.String(), -1) {
		seen[m[1]] = true
		seen[strings.TrimSuffix(m[1], "_bucket")] = true
	}
	for name := range metrics(t) {
		require.True(t, seen[name], "%s is on no dashboard and in no alert", name)
	}
}

// TestDashboardsAreDelivered: what the ConfigMap holds is what the files say, and
// small enough for one.
func TestDashboardsAreDelivered(t *testing.T) {
	args := append([]string{"template", "test", chartDir, "--namespace", "ringway", "--show-only", "templates/dashboards.yaml"}, flags(t, cases(t)["hub"])...)
	out, stderr, err := helm(t, args...)
	require.NoError(t, err, stderr)
	is := decode(t, out)
	require.Len(t, is, 1)
	m := is[0].(*corev1.ConfigMap)
	require.Equal(t, "1", m.Labels["grafana_dashboard"])
	require.Equal(t, "Ringway", m.Annotations["grafana_folder"])
	files, err := os.ReadDir(chartDir + "dashboards")
	require.NoError(t, err)
	require.Len(t, m.Data, len(files))
	size := 0
	for _, f := range files {
		have := m.Data["ringway-"+f.Name()]
		size += len(have)
		require.JSONEq(t, string(read(t, chartDir+"dashboards/"+f.Name())), have)
	}
	require.Less(t, size, 256<<10, "kubectl apply keeps a copy in an annotation, which holds no more")
}
