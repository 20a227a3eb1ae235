package poll

import (
	"slices"
	"time"

	"github.com/ringway/ringway/bridge"
)

// An ending is that of an event which is over.
type ending struct {
	until time.Time // it is not opened again before
	seq   uint64    // of the record of it; 0 if there is none yet
}

// forgetAfter is for how long an event that is over is not opened again, should it
// be stored a second time. What comes from other stamps is known for longer by the
// inbox.
const forgetAfter = time.Hour

// Bounds of what is open. Beyond them the oldest events that give nothing to do
// are closed.
const (
	maxOpen      = 50_000
	maxOpenBytes = 256 << 20
)

// over returns what the stream is to be told is over, and what is to be removed
// from it, which is not returned again.
func (x *index) over(now time.Time) (ends []bridge.Key, garbage []uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, e := range x.byKey {
		if now.After(e.end) {
			ends = append(ends, key)
		}
	}
	for _, e := range x.due {
		ends = append(ends, e.key)
	}
	ends = append(ends, x.excess()...)
	for key, end := range x.ended {
		if now.After(end.until) && end.seq > 0 {
			delete(x.ended, key)
			x.garbage = append(x.garbage, end.seq)
		}
	}
	garbage, x.garbage = x.garbage, nil
	return ends, garbage
}

// excess returns what has to be closed for the bounds. The caller holds mu.
func (x *index) excess() []bridge.Key {
	n, bytes := len(x.byKey)-maxOpen, x.bytes-maxOpenBytes
	if n <= 0 && bytes <= 0 {
		return nil
	}
	var news []*entry
	for _, e := range x.byKey {
		if !e.gives() {
			news = append(news, e)
		}
	}
	slices.SortFunc(news, func(a, b *entry) int { return int(a.seq) - int(b.seq) }) //nolint:gosec // near each other
	var keys []bridge.Key
	for _, e := range news {
		if n <= 0 && bytes <= 0 {
			break
		}
		keys = append(keys, e.key)
		n--
		bytes -= len(e.json)
	}
	return keys
}

// again has what was not removed removed another time.
func (x *index) again(garbage []uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.garbage = append(x.garbage, garbage...)
}
