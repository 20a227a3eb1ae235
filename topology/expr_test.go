package topology_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

var event = topology.Env{
	Type: "sh.keptn.event.dev.sayhello.triggered", Source: "shipyard", ID: "1", Project: "hello", Stage: "dev", Service: "web",
	Labels: map[string]string{"team": "a"},
	Data: map[string]any{
		"sayhello": map[string]any{"location": "EU", "n": 3.0, "text": "17", "list": []any{"x", "y"}, "yes": true},
	},
}

func TestExprMatch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`true`:                                            true,
		`data.sayhello.location == "EU"`:                  true,
		`data.sayhello.location == "APAC"`:                false,
		`data.sayhello.location in ["EU", "APAC"]`:        true,
		`data.sayhello.location matches "^E"`:             true,
		`data.sayhello.n > 2`:                             true,
		`data.sayhello.n >= 3 and data.sayhello.n < 3.5`:  true,
		`int(data.sayhello.text) == 17`:                   true,
		`"b" > "a"`:                                       true,
		`project == "hello" && stage != "prod"`:           true,
		`service startsWith "we" or false`:                true,
		`hasPrefix(type, "sh.keptn.") && len(id) == 1`:    true,
		`lower(data.sayhello.location) == "eu"`:           true,
		`labels.team == "a"`:                              true,
		`labels.none == "a"`:                              false,
		`labels["team"] == "b"`:                           false,
		`data.none`:                                       false,
		`data.none == nil`:                                true,
		`data.none?.location == "EU"`:                     false,
		`(data.none?.location ?? "EU") == "EU"`:           true,
		`data.sayhello.yes`:                               true,
		`"x" in data.sayhello.list`:                       true,
		`data.sayhello.location == 3`:                     false,
		`data.sayhello.list[1] == "y" ? true : false`:     true,
		`not (source contains "yard")`:                    false,
		`indexOf(trim(" a "), "a") == 0`:                  true,
		`string(data.sayhello.n) == "3"`:                  true,
		`upper(service) == "WEB" and float("1.5") == 1.5`: true,
	} {
		e, err := topology.CompileExpr(text)
		require.NoError(t, err, text)
		got, err := e.Match(event)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

// An event may be anything: what it lacks makes a condition false, with a
// reason, and no worse.
func TestExprWithoutValue(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`data.none.location == "EU"`,
		`data.sayhello.location.city == "Rome"`,
		`data.sayhello.location > 3`,
		`data.none > 3`,
		`data.sayhello.location`,
		`int(data.sayhello.location) == 1`,
		`lower(data.none) == ""`,
		`data.sayhello.list[7] == "y"`,
		`3 % int(data.sayhello.n - 3) == 1`,
	} {
		e, err := topology.CompileExpr(text)
		require.NoError(t, err, text)
		got, err := e.Match(event)
		require.Error(t, err, text)
		require.False(t, got, text)
		got, err = e.Match(topology.Env{})
		require.False(t, got && err != nil, text)
	}
}

func TestExprRefused(t *testing.T) {
	t.Parallel()
	for text, why := range map[string]string{
		``:                                          "does not compile",
		`data.x ==`:                                 "does not compile",
		`"EU"`:                                      "expected bool",
		`len(stage)`:                                "expected bool",
		`stage + 1 == "x"`:                          "invalid operation",
		`stage > 3`:                                 "invalid operation",
		`labels.team == 3`:                          "invalid operation",
		`unknown == "x"`:                            "unknown name",
		`any(data.list, # == 1)`:                    "loops such as any are not supported",
		`all(data.list, # == 1)`:                    "loops such as all are not supported",
		`none(data.list, # == 1)`:                   "loops such as none are not supported",
		`one(data.list, # == 1)`:                    "loops such as one are not supported",
		`len(filter(data.list, true)) > 1`:          "loops such as filter are not supported",
		`len(map(data.list, #)) > 1`:                "loops such as map are not supported",
		`count(data.list, true) > 1`:                "loops such as count are not supported",
		`reduce(data.list, #acc + #) > 1`:           "loops such as reduce are not supported",
		`sum(data.list) > 1`:                        "loops such as sum are not supported",
		`repeat("a", 1000000) == ""`:                "does not compile",
		`now() == nil`:                              "does not compile",
		`3 in 1..1000000`:                           "ranges are not supported",
		`len(1..10) > 2`:                            "ranges are not supported",
		`"a" matches data.sayhello.text`:            "patterns that are not written out",
		`"a" matches "(" + stage`:                   "patterns that are not written out",
		`stage matches "x{1000}y{1000}"`:            "patterns this large",
		`stage matches "((abc){20}){20}"`:           "patterns this large",
		`stage matches "x{1001}"`:                   "does not compile",
		`let a = "x"; a + a == "xx"`:                "variables are not supported",
		`"` + strings.Repeat("x", 4096) + `" == ""`: "is longer than 4096 bytes",
		strings.Repeat(`true and `, 300) + `true`:   "does not compile",
	} {
		_, err := topology.CompileExpr(text)
		require.ErrorContains(t, err, why, "%.60s", text)
	}
}

func TestExprIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	e, err := topology.CompileExpr(`data.sayhello.location == "EU" and project matches "^h"`)
	require.NoError(t, err)
	done := make(chan bool)
	for range 4 {
		go func() {
			ok := true
			for range 200 {
				got, err := e.Match(event)
				ok = ok && got && err == nil
			}
			done <- ok
		}()
	}
	for range 4 {
		require.True(t, <-done)
	}
}
