package task

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// freshTask returns a task that nobody has answered, changed.
func freshTask(change func(*Task)) *Task {
	t := &Task{
		ID: "1", Type: "sh.keptn.event.a.triggered", Context: "c", Project: "p", Stage: "s", Service: "v", Rule: "r",
		Deliver: "all", StartWithin: time.Minute, Asked: time.Unix(1_700_000_000, 123_000).UTC(), Hop: 1 << 60,
		Seats: []*Seat{{Stamp: "a", State: Asked}},
	}
	change(t)
	return t
}

// A fresh task is written as encoding/json writes it.
func TestFreshTaskAsJSON(t *testing.T) {
	t.Parallel()
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
		tk := freshTask(c.change)
		want, err := json.Marshal(tk)
		require.NoError(t, err, name)
		_, ok := appendFresh(nil, tk)
		require.Equal(t, c.plain, ok, name)
		got, err := new(encoder).encode(tk)
		require.NoError(t, err, name)
		require.Equal(t, string(want), string(got), name)
	}
}

// TestEncoderWritesOneBehindTheOther: what was given away stays what it is.
func TestEncoderWritesOneBehindTheOther(t *testing.T) {
	t.Parallel()
	var e encoder
	var got []string
	var texts [][]byte
	for i := range 500 {
		tk := freshTask(func(t *Task) {
			t.ID = strconv.Itoa(i)
			if i%50 == 7 {
				t.Project = strings.Repeat("p", 3*slabSize/2) // has no room in a slab
			}
			if i%50 == 9 {
				t.Service = "ü" // is not written here
			}
		})
		want, err := json.Marshal(tk)
		require.NoError(t, err)
		text, err := e.encode(tk)
		require.NoError(t, err)
		got, texts = append(got, string(want)), append(texts, text)
	}
	for i, text := range texts {
		require.Equal(t, got[i], string(text))
		_ = append(text, "nobody else's"...)
	}
	for i, text := range texts {
		require.Equal(t, got[i], string(text))
	}
}
