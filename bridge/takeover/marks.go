package takeover

import (
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
)

// A mode says what is known of the external stream.
type mode int

const (
	unknown   mode = iota // not asked yet, or it was there and cannot be reached
	absent                // there is none, or it may not be read
	following             // it is being read
)

const (
	// maxMarks bounds the events of which it is known that they were captured.
	maxMarks = 1 << 16
	// lag is for how long an event that was captured may not be in the stream
	// yet: both come from the same server on two connections.
	lag = time.Second
	// patience is how long an event waits for a stream that cannot be reached.
	patience = 5 * time.Second
	// longest is how long an event waits for a stream that has much to read.
	longest = 30 * time.Second
)

// A mark is an event that is in RW_OUT, or was.
type mark struct {
	at     time.Time
	passed bool // everything before it in the stream has gone on, and it may
}

// marks knows what was captured, and is the Order of the outbox. It is safe for
// concurrent use.
type marks struct {
	changed chan struct{} // one place
	heard   chan struct{} // one place: there is a new mark
	began   time.Time

	mu    sync.Mutex // guards the following fields
	mode  mode
	known map[bridge.Key]*mark
	ring  []bridge.Key // the same, oldest at next once it is full
	next  int
	open  int          // not passed
	gone  []bridge.Key // passed, in the order of the stream, and nobody was told yet
	tail  time.Time    // the stream had been read to its end at this time
}

func newMarks(now time.Time) *marks {
	return &marks{
		changed: make(chan struct{}, 1), heard: make(chan struct{}, 1), began: now,
		known: map[bridge.Key]*mark{},
	}
}

func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *marks) add(key bridge.Key, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[key] != nil {
		return // a copy
	}
	if len(s.ring) < maxMarks {
		s.ring = append(s.ring, key)
	} else {
		if old := s.known[s.ring[s.next]]; !old.passed {
			s.open--
		}
		delete(s.known, s.ring[s.next])
		s.ring[s.next] = key
		s.next = (s.next + 1) % maxMarks
	}
	s.known[key] = &mark{at: at}
	s.open++
	ring(s.heard)
}

// pass reports whether an event of the stream was captured, and when. It and
// what comes after it in the stream may go on then.
func (s *marks) pass(key bridge.Key) (at time.Time, captured bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.known[key]
	if m == nil {
		return time.Time{}, false
	}
	if !m.passed {
		m.passed = true
		s.open--
		if s.gone = append(s.gone, key); len(s.gone) > maxMarks { // nobody asks
			s.gone = s.gone[1:]
		}
		ring(s.changed)
	}
	return m.at, true
}

// told returns what has passed since it was last called, in the order of the
// stream.
func (s *marks) told() []bridge.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.gone
	s.gone = nil
	return out
}

// has reports whether an event was captured.
func (s *marks) has(key bridge.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[key] != nil
}

// may reports whether an event that was captured at a time may go on.
func (s *marks) may(key bridge.Key, at, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.known[key]; m != nil && m.passed {
		return true
	}
	waited := now.Sub(at)
	if at.Before(s.began) {
		waited = now.Sub(s.began)
	}
	switch s.mode {
	case absent:
		return true
	case following:
		return s.tail.After(at.Add(lag)) || waited > longest
	default:
		return waited > patience
	}
}

// readAll says that the stream had nothing more at a time.
func (s *marks) readAll(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = at
	for _, m := range s.known {
		if !m.passed && at.After(m.at.Add(lag)) { // it will not be met any more
			m.passed = true
			s.open--
		}
	}
	ring(s.changed)
}

// waiting reports whether something was captured and not met in the stream.
func (s *marks) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open > 0
}

func (s *marks) set(m mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode, s.tail = m, time.Time{}
	ring(s.changed)
}
