package inbox

import (
	"bytes"

	"github.com/ringway/ringway/bridge"
)

// maxBodies bounds, in bytes, what is kept in memory of events that wait.
const maxBodies = 32 << 20

// bodies are events that wait for something short, such as a slow subscriber:
// reading each of them again from RW_IN would take a round trip. What does not
// fit is read again.
type bodies struct {
	bySeq map[place]arrival
	bytes int
}

func newBodies() *bodies { return &bodies{bySeq: map[place]arrival{}} }

// keep remembers a if there is room.
func (b *bodies) keep(a arrival) {
	if _, known := b.bySeq[a.seq]; known || b.bytes+len(a.body) > maxBodies {
		return
	}
	if a.packed {
		a.body = bytes.Clone(a.body) // else all of its pack would stay
		bridge.Detach(&a.id, &a.context, &a.key)
	}
	b.bySeq[a.seq] = a
	b.bytes += len(a.body)
}

// take returns the event at a place and forgets it.
func (b *bodies) take(at place) (a arrival, ok bool) {
	if a, ok = b.bySeq[at]; ok {
		delete(b.bySeq, at)
		b.bytes -= len(a.body)
	}
	return a, ok
}
