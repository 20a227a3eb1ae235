package inbox

import (
	"encoding/json"
	"slices"
)

// A written progress is one as it is stored. Before there were packs a progress
// counted messages, each of which was one event. It still does so beside the
// places, so that an earlier version which takes over, as after a rollback, does
// not take sequences for places, or all that waits for settled.
type written struct {
	By        string         `json:"by,omitempty"`
	Floor     uint64         `json:"floor"` // message sequences, as the next
	Above     [][2]uint64    `json:"above,omitempty"`
	Clean     bool           `json:"clean,omitempty"`
	Held      bool           `json:"held,omitempty"`
	Open      [][2]uint64    `json:"open,omitempty"` // the same
	Exact     bool           `json:"exact,omitempty"`
	Given     [][2]uint64    `json:"given,omitempty"` // the same
	Answering []string       `json:"answering,omitempty"`
	Places    *writtenPlaces `json:"places,omitempty"` // nil: an earlier version wrote it
}

type writtenPlaces struct {
	Floor uint64      `json:"floor"`
	Above [][2]uint64 `json:"above,omitempty"`
	Open  [][2]place  `json:"open,omitempty"`
	Given [][2]place  `json:"given,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (p progress) MarshalJSON() ([]byte, error) {
	return json.Marshal(written{
		By: p.By, Clean: p.Clean, Held: p.Held, Exact: p.Exact, Answering: p.Answering,
		Floor: p.unread() - 1, Above: wholly(p.Above), Open: partly(p.Open), Given: partly(p.Given),
		Places: &writtenPlaces{Floor: p.Floor, Above: p.Above, Open: p.Open, Given: p.Given},
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *progress) UnmarshalJSON(b []byte) error {
	var w written
	if err := json.Unmarshal(b, &w); err != nil {
		return err //nolint:wrapcheck // it is json's own
	}
	*p = progress{By: w.By, Clean: w.Clean, Held: w.Held, Exact: w.Exact, Answering: w.Answering}
	if at := w.Places; at != nil {
		p.Floor, p.Above, p.Open, p.Given = at.Floor, at.Above, at.Open, at.Given
		return nil
	}
	p.Floor, p.Above, p.Open, p.Given = endOf(w.Floor), w.Above, w.Open, w.Given
	for i, r := range p.Above {
		p.Above[i] = [2]uint64{r[0] << indexBits, endOf(r[1])}
	}
	for _, rs := range [][][2]place{p.Open, p.Given} {
		for i, r := range rs {
			rs[i] = [2]place{placeOf(r[0], 0, 1), placeOf(r[1], 0, 1)}
		}
	}
	return nil
}

// wholly returns the messages of which all events are in ranges of numbers that
// places take.
func wholly(above [][2]uint64) (out [][2]uint64) {
	for _, r := range above {
		first, end := seqOf(r[0]+1<<indexBits-1), seqOf(r[1]+1) // end is behind the last
		if first < end {
			out = append(out, [2]uint64{first, end - 1})
		}
	}
	return out
}

// partly returns the messages of which some event is in ranges of places.
func partly(places [][2]place) (out [][2]uint64) {
	for _, r := range places {
		m := [2]uint64{seqOf(r[0]), seqOf(r[1])}
		if n := len(out); n > 0 && m[0] <= out[n-1][1]+1 {
			out[n-1][1] = max(out[n-1][1], m[1])
			continue
		}
		out = append(out, m)
	}
	return slices.Clip(out)
}
