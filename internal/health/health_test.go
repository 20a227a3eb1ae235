package health_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/health"
)

func says(s health.State, detail string) health.Reporter {
	return health.Func(func() health.Report { return health.Report{State: s, Detail: detail} })
}

func TestSummaryIsTheWorstOfTheParts(t *testing.T) {
	for name, tc := range map[string]struct {
		parts  []health.Reporter
		state  health.State
		detail string
		ready  bool
	}{
		"empty":    {nil, health.OK, "", true},
		"fine":     {[]health.Reporter{says(health.OK, "2 links")}, health.OK, "", true},
		"degraded": {[]health.Reporter{says(health.OK, ""), says(health.Degraded, "b is away")}, health.Degraded, "b: b is away", true},
		"down":     {[]health.Reporter{says(health.Down, ""), says(health.Degraded, "x")}, health.Down, "a: down; b: x", false},
	} {
		t.Run(name, func(t *testing.T) {
			var b health.Board
			for i, p := range tc.parts {
				b.Set(string(rune('a'+i)), p)
			}
			s := b.Summary()
			require.Equal(t, tc.state, s.State)
			require.Equal(t, tc.detail, s.Detail)
			require.Equal(t, tc.ready, s.Ready())
			require.Len(t, s.Parts, len(tc.parts))
		})
	}
}

func TestBoardReplacesAndForgets(t *testing.T) {
	var b health.Board
	b.Set("a", says(health.Down, ""))
	b.Set("b", says(health.OK, ""))
	b.Set("a", says(health.OK, ""))
	require.Equal(t, health.OK, b.Summary().State)
	b.Set("a", nil)
	b.Set("nobody", nil)
	out, err := json.Marshal(b.Summary())
	require.NoError(t, err)
	require.JSONEq(t, `{"state":"ok","parts":[{"name":"b","state":"ok"}]}`, string(out))
}

func TestLampKeepsSinceWhileTheStateStays(t *testing.T) {
	t0 := time.Unix(1000, 0)
	l := health.NewLamp(health.Down, "starting", t0)
	l.Set(health.Down, "still starting", t0.Add(time.Second))
	require.Equal(t, health.Report{State: health.Down, Detail: "still starting", Since: t0}, l.Report())
	l.Set(health.OK, "", t0.Add(2*time.Second))
	require.Equal(t, health.Report{Since: t0.Add(2 * time.Second)}, l.Report())
}
