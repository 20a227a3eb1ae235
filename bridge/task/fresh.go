package task

import (
	"encoding/json"
	"strconv"
	"time"
)

// An encoder writes tasks one behind the other into memory that they share. Its zero
// value is ready. It is not safe for concurrent use.
type encoder struct{ slab []byte }

// How much memory is made at once, and what must be left of it to begin a task there.
const (
	slabSize = 32 << 10
	slabRoom = 1 << 10
)

// encode returns t as JSON. A task that nobody has answered yet, as nearly all are
// when they are noted, is written without reflection: it is on the way of each event.
func (e *encoder) encode(t *Task) ([]byte, error) {
	if cap(e.slab)-len(e.slab) < slabRoom {
		e.slab = make([]byte, 0, slabSize)
	}
	from := len(e.slab)
	b, ok := appendFresh(e.slab, t)
	if !ok {
		return json.Marshal(t) //nolint:wrapcheck // the caller says what it was for
	}
	e.slab = b
	return b[from:len(b):len(b)], nil
}

// appendFresh appends t as encoding/json would. It is false, and b is of no use,
// for a task that has more than a fresh one.
func appendFresh(b []byte, t *Task) ([]byte, bool) {
	if len(t.Seats) != 1 || t.Turn != nil || !t.LastStart.IsZero() || t.Deadline != 0 || len(t.Labels) > 0 || t.CommitID != "" {
		return b, false
	}
	s := t.Seats[0]
	if len(s.Planes) > 0 || !s.Heard.IsZero() || s.Granted || s.Unreached {
		return b, false
	}
	ok := true
	text := func(name, value string) {
		b = append(b, name...)
		b = append(b, '"')
		b = append(b, value...)
		b = append(b, '"')
		ok = ok && plain(value)
	}
	text(`{"id":`, t.ID)
	text(`,"type":`, t.Type)
	text(`,"shkeptncontext":`, t.Context)
	text(`,"project":`, t.Project)
	text(`,"stage":`, t.Stage)
	text(`,"service":`, t.Service)
	text(`,"rule":`, t.Rule)
	text(`,"deliver":`, string(t.Deliver))
	b = strconv.AppendInt(append(b, `,"startWithin":`...), int64(t.StartWithin), 10)
	if t.OnDeadline != "" {
		text(`,"onDeadline":`, string(t.OnDeadline))
	}
	b = t.Asked.AppendFormat(append(b, `,"asked":"`...), time.RFC3339Nano)
	b = strconv.AppendUint(append(b, `","hop":`...), t.Hop, 10)
	text(`,"seats":[{"stamp":`, string(s.Stamp))
	text(`,"state":`, string(s.State))
	return append(b, "}]}"...), ok
}

// plain reports whether encoding/json writes s as it is.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
