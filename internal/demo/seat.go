package demo

import (
	"hash/maphash"
	"slices"
)

// A Party is somebody who sends or sees events: a control plane, or all the
// replicas of one plane in one stamp.
type Party struct {
	Stamp    string
	Name     string   // of the service, which is its queue group
	Control  bool     // a control plane
	Patterns []string // subjects it subscribes to
	Answers  bool     // answers what it takes with .started and .finished
	Stages   []string // takes only events of these stages, after delivery as Keptn's filter; empty: all
}

// A Seat is a Party's place at a Ledger. It is safe for concurrent use.
type Seat struct {
	Party
	ledger *Ledger
}

// A Sighting is what the Ledger makes of an event that a party saw.
type Sighting int

// The sightings.
const (
	First     Sighting = iota // it had to arrive and has not before
	Local                     // it was published in the same stamp; nothing crossed
	Copy                      // it had been there before
	Misrouted                 // it had no business in this stamp
	Unknown                   // nobody sent it, or it is forgotten
)

// subscription returns the index of the pattern that subject arrives by, or -1.
func (p Party) subscription(subject string) int {
	return slices.IndexFunc(p.Patterns, func(pattern string) bool { return matches(pattern, subject) })
}

// takes reports whether the party acts on events of stage.
func (p Party) takes(stage string) bool {
	return len(p.Stages) == 0 || slices.Contains(p.Stages, stage)
}

// Sent notes that the party is about to publish body, and returns how many
// planes will answer it. Call it before publishing; a body that is no event
// counts nowhere.
func (s *Seat) Sent(body []byte) (answers int) {
	h, err := readHead(body)
	if err != nil {
		return 0
	}
	l := s.ledger
	to, anyOne := l.route(s.Stamp, body)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &record{head: h, from: s, at: l.now(), sum: maphash.Bytes(l.seed, body)}
	asker := l.asker(s, h)
	for _, seat := range l.seats {
		switch {
		case seat.subscription(h.Type) < 0:
			continue
		case seat.Stamp != s.Stamp && !seat.Control && slices.Contains(to, seat.Stamp),
			seat.Stamp != s.Stamp && seat.Control && (seat == asker || s.Control && slices.Contains(to, seat.Stamp)):
			if anyOne && r.alternative(seat) {
				continue
			}
			r.dues = append(r.dues, &due{to: seat, expected: true})
		case seat.Stamp != s.Stamp:
			continue
		}
		if seat.Answers && seat.takes(h.Data.Stage) {
			answers++
		}
	}
	l.enter(r)
	return answers
}

// alternative makes seat one that may get the event instead of another
// stamp's plane of the same name, and reports whether there is one.
func (r *record) alternative(seat *Seat) bool {
	for _, d := range r.dues {
		if d.expected && d.to.Name == seat.Name {
			d.or = append(d.or, seat)
			return true
		}
	}
	return false
}

// asker returns the seat of the control plane whose question h answers, if s
// was asked; else nil. l.mu is held.
func (l *Ledger) asker(s *Seat, h head) *Seat {
	q := l.events[h.TriggeredID]
	if q == nil || s.Control {
		return nil
	}
	if d := q.due(s); q.from.Stamp == s.Stamp || d != nil && d.expected {
		return q.from
	}
	return nil
}

// cost returns how many deliveries between stamps body would cause, and the
// answers to it.
func (s *Seat) cost(body []byte) int {
	h, err := readHead(body)
	if err != nil {
		return 0
	}
	l := s.ledger
	to, anyOne := l.route(s.Stamp, body)
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	planes := map[string]bool{}
	for _, seat := range l.seats {
		if anyOne && planes[seat.Name] {
			continue
		}
		if seat.Stamp == s.Stamp || seat.subscription(h.Type) < 0 || !slices.Contains(to, seat.Stamp) {
			continue
		}
		planes[seat.Name] = true
		if n++; seat.Answers && seat.takes(h.Data.Stage) {
			n += 2
		}
	}
	return n
}

// Withdraw takes back a Sent whose publishing failed.
func (s *Seat) Withdraw(body []byte) {
	h, err := readHead(body)
	if err != nil {
		return
	}
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.events[h.ID]
	if r == nil {
		return
	}
	i := slices.Index(l.order, r)
	l.order = slices.Delete(l.order, i, i+1)
	for _, d := range r.dues {
		if d.missing() {
			l.pair(s, d.to).sent--
			l.all.sent--
			l.owe(-1, 0)
			l.leave(d)
		}
	}
	l.forget(r)
}

// Seen notes that body arrived at the party and says what that means.
func (s *Seat) Seen(body []byte) Sighting {
	h, err := readHead(body)
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.events[h.ID]
	if err != nil || r == nil || r.Type != h.Type {
		if err == nil && r == nil && l.stranger(h.Source) {
			l.stray.foreign++
		} else {
			l.stray.unknown++
		}
		return Unknown
	}
	if maphash.Bytes(l.seed, body) != r.sum {
		l.stray.altered++
	}
	d := r.due(s)
	if d == nil {
		d = &due{to: s}
		r.dues = append(r.dues, d)
	}
	if d.to != s && d.copies == 0 {
		l.moveTo(r, d, s)
	}
	d.copies++
	switch {
	case !d.expected && s.Stamp != r.from.Stamp:
		l.stray.misrouted++
		return Misrouted
	case d.copies > 1:
		l.pair(r.from, s).duplicated++
		l.all.duplicated++
		return Copy
	case d.expected:
		l.arrive(r, d)
		return First
	}
	return Local
}

// stranger reports whether source is nobody of this demonstration: somebody tries
// it out with events of his own.
func (l *Ledger) stranger(source string) bool {
	return source != "" && source != sourceShip && !slices.ContainsFunc(l.seats, func(s *Seat) bool { return s.Name == source })
}

// Work says that the party is about to answer something; call the function it
// returns, once, when all answers are Sent. Call Work before Seen, so that
// Ledger.Wait cannot slip between.
func (s *Seat) Work() (done func()) {
	l := s.ledger
	owe := func(n int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.owe(0, n)
	}
	owe(1)
	return func() { owe(-1) }
}
