package task

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A fresh task is written as encoding/json writes it.
func TestFreshTaskAsJSON(t *testing.T) {
	t.Parallel()
	fresh := func(change func(*Task)) *Task {
		tk := &Task{
			ID: "1", Type: "sh.keptn.event.a.triggered", Context: "c", Project: "p", Stage: "s", Service: "v", Rule: "r",
			Deliver: "all", StartWithin: time.Minute, Asked: time.Unix(1_700_000_000, 123_000).UTC(), Hop: 1 << 60,
			Seats: []*Seat{{Stamp: "a", State: Asked}},
		}
		change(tk)
		return tk
	}
	for name, c := range map[string]struct {
		change func(*Task)
		plain  bool
	}{
		"fresh":        {func(*Task) {}, true},
		"on deadline":  {func(t *Task) { t.OnDeadline = "fail" }, true},
		"whole second": {func(t *Task) { t.Asked = time.Unix(1_700_000_000, 0).UTC() }, true},
		"empty":        {func(t *Task) { *t = Task{Seats: []*Seat{{}}} }, true},
		"quotes":       {func(t *Task) { t.Service = `"` }, false},
		"umlaut":       {func(t *Task) { t.Project = "ü<" }, false},
		"backslash":    {func(t *Task) { t.ID = `\u0000` }, false},
		"two seats":    {func(t *Task) { t.Seats = append(t.Seats, &Seat{}) }, false},
		"answered":     {func(t *Task) { t.Seats[0].Planes = map[string]*Plane{"p": {}} }, false},
		"heard":        {func(t *Task) { t.Seats[0].Heard = time.Unix(1, 0) }, false},
		"deadline":     {func(t *Task) { t.Deadline = 1 }, false},
		"labels":       {func(t *Task) { t.Labels = map[string]string{"a": "b"} }, false},
	} {
		tk := fresh(c.change)
		want, err := json.Marshal(tk)
		require.NoError(t, err, name)
		_, ok := appendFresh(nil, tk)
		require.Equal(t, c.plain, ok, name)
		got, err := encode(tk)
		require.NoError(t, err, name)
		require.Equal(t, string(want), string(got), name)
	}
}
