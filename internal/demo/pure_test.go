package demo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTallyIsKeptnsRule(t *testing.T) {
	// Contract §4.6: S is .started, F is .finished.
	for arrivals, completeAt := range map[string]int{
		"SF": 2, "FS": 2, "SSFF": 4, "SSF": 0, "FFS": 0, "SFSF": 2, "S": 0, "F": 0, "SSFFF": 4,
	} {
		t.Run(arrivals, func(t *testing.T) {
			var c tally
			got := 0
			for i, a := range arrivals {
				complete := false
				if a == 'S' {
					complete = c.start()
				} else {
					complete = c.finish(verdict{"pass", "succeeded"})
				}
				if complete && got == 0 {
					got = i + 1
				}
			}
			require.Equal(t, completeAt, got)
		})
	}
}

func TestVerdictIsTheWorst(t *testing.T) {
	good := verdict{"pass", "succeeded"}
	for name, c := range map[string]struct {
		in   []verdict
		want verdict
	}{
		"all well":       {[]verdict{good, good}, good},
		"one warns":      {[]verdict{good, {"warning", "succeeded"}}, verdict{"warning", "succeeded"}},
		"one fails":      {[]verdict{{"fail", "succeeded"}, {"warning", "succeeded"}}, verdict{"fail", "succeeded"}},
		"errored wins":   {[]verdict{{"pass", "aborted"}, {"fail", "errored"}}, verdict{"fail", "errored"}},
		"unknown status": {[]verdict{good, {"pass", ""}}, verdict{"fail", "unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := tally{results: c.in}
			require.Equal(t, c.want, got.verdict())
		})
	}
}

func TestMergeIsShipyards(t *testing.T) {
	old := map[string]any{"a": 1, "m": map[string]any{"x": 1, "y": 2}, "l": []any{1}}
	add := map[string]any{"m": map[string]any{"y": 3}, "l": []any{2}, "b": 4}
	require.Equal(t, map[string]any{
		"a": 1, "b": 4, "m": map[string]any{"x": 1, "y": 3}, "l": []any{2, 1},
	}, merge(old, add))
	require.Equal(t, []any{1}, old["l"])
}

func TestTriggeredHasTheShapeOfShipyard(t *testing.T) {
	body, err := triggered(head{ID: "1", Type: "sh.keptn.event.deployment.triggered", Context: "c"},
		map[string]string{"gitcommitid": "abc"}, map[string]any{"project": "shop"}, time.Unix(0, 5).UTC())
	require.NoError(t, err)
	require.Equal(t, `{"specversion":"1.0","id":"1","source":"shipyard-controller","type":"sh.keptn.event.deployment.triggered",`+
		`"datacontenttype":"application/json","time":"1970-01-01T00:00:00.000000005Z","data":{"project":"shop"},`+
		`"gitcommitid":"abc","shkeptncontext":"c","shkeptnspecversion":"0.2.4"}`, string(body))
}

func TestAnswerHasTheShapeOfGoSDK(t *testing.T) {
	body, err := newAnswer(head{ID: "q", Context: "c"}, "sh.keptn.event.test.started", "tester", common{Project: "shop"}, time.Unix(1, 0))
	require.NoError(t, err)
	var e struct{ ID string }
	require.NoError(t, json.Unmarshal(body, &e))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, e.ID)
	require.Equal(t, `{"contenttype":"application/json","data":{"project":"shop"},"id":"ID","shkeptncontext":"c",`+
		`"shkeptnspecversion":"0.2.4","source":"tester","specversion":"1.0","time":"1970-01-01T00:00:01Z",`+
		`"triggeredid":"q","type":"sh.keptn.event.test.started"}`, strings.Replace(string(body), e.ID, "ID", 1))
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a.b.c", false},
		{"a.b.c", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{">", "a", true},
	} {
		require.Equal(t, c.want, matches(c.pattern, c.subject), "%s %s", c.pattern, c.subject)
	}
}

func TestHistogramIsFivePercentRight(t *testing.T) {
	var h histogram
	require.Zero(t, h.quantile(0.5))
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	require.InEpsilon(t, 500*time.Millisecond, h.quantile(0.5), 0.051)
	require.InEpsilon(t, 990*time.Millisecond, h.quantile(0.99), 0.051)
	require.Equal(t, time.Second, h.quantile(1))
	h.add(1000 * time.Hour)
	require.Equal(t, 1000*time.Hour, h.max)
}
