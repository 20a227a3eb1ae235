package inbox

// maxBodies bounds, in bytes, what is kept in memory of events that wait.
const maxBodies = 32 << 20

// bodies are events that wait for something short, such as a slow subscriber:
// reading each of them again from RW_IN would take a round trip. What does not
// fit is read again.
type bodies struct {
	bySeq map[uint64]arrival
	bytes int
}

func newBodies() *bodies { return &bodies{bySeq: map[uint64]arrival{}} }

// keep remembers a if there is room.
func (b *bodies) keep(a arrival) {
	if _, known := b.bySeq[a.seq]; known || b.bytes+len(a.body) > maxBodies {
		return
	}
	b.bySeq[a.seq] = a
	b.bytes += len(a.body)
}

// take returns the event with sequence seq and forgets it.
func (b *bodies) take(seq uint64) (a arrival, ok bool) {
	if a, ok = b.bySeq[seq]; ok {
		delete(b.bySeq, seq)
		b.bytes -= len(a.body)
	}
	return a, ok
}
