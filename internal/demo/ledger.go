package demo

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// LedgerConfig is what a Ledger needs.
type LedgerConfig struct {
	// Route returns the stamps that must get an event which a client of stamp
	// from publishes: the federation's own router. It is called from many
	// goroutines. from itself may be among them and is ignored.
	Route func(from string, event []byte) (to []string, anyOne bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Remember bounds how many settled events are kept to tell a second copy
	// from an unknown event; 0 is 100,000. What has not arrived is always kept.
	Remember int
}

// A Ledger is the truth about a demonstration: every event that was sent, who
// had to get it, and who got it. Parties take a Seat and tell it what they
// send, before they send it, and what they see. It is safe for concurrent use.
type Ledger struct {
	route    func(from string, event []byte) (to []string, anyOne bool)
	now      func() time.Time
	remember int
	seed     maphash.Seed

	mu      sync.Mutex
	seats   []*Seat
	events  map[string]*record // by id
	order   []*record          // the same, oldest first, but for a few that wait
	threads map[string]*thread // by shkeptncontext
	pairs   map[Pair]*count
	all     count
	serial  uint64
	stray   strays
	outages []*outage
	recent  []Crossing

	pending int           // deliveries that are missing
	working int           // answers that planes are about to give
	idle    chan struct{} // closed when both are 0; nil while they are
}

// A record is one event that was sent.
type record struct {
	head
	serial uint64
	from   *Seat
	at     time.Time
	sum    uint64 // of the body
	dues   []*due
}

// A due is one delivery of an event: one that must happen, or one that did.
type due struct {
	to       *Seat
	or       []*Seat // that may get it instead
	expected bool    // the router sends it there
	copies   int
	outage   *outage // that it was sent in; nil mostly
}

// A thread is the order of the events of one shkeptncontext: the serial of the
// last event that was seen on each way.
type thread struct {
	records int
	last    map[way]uint64
}

// A way leads from a party to one subscription of another; NATS keeps no order
// between subscriptions.
type way struct {
	from, to     *Seat
	subscription int
}

// strays counts what must not happen.
type strays struct{ misrouted, unknown, foreign, altered, disordered int }

// recentCrossings bounds Ledger.Recent.
const recentCrossings = 32

// NewLedger returns an empty Ledger.
func NewLedger(cfg LedgerConfig) *Ledger {
	l := &Ledger{
		route: cfg.Route, now: cfg.Now, remember: cfg.Remember, seed: maphash.MakeSeed(),
		events: map[string]*record{}, threads: map[string]*thread{}, pairs: map[Pair]*count{},
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.remember == 0 {
		l.remember = 100_000
	}
	return l
}

// Join gives p a seat. Join everybody before the first event is sent.
func (l *Ledger) Join(p Party) *Seat {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &Seat{Party: p, ledger: l}
	l.seats = append(l.seats, s)
	return s
}

// Wait returns when every event that must arrive has arrived and no plane is
// about to answer, or with ctx's error.
func (l *Ledger) Wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		idle := l.idle
		l.mu.Unlock()
		if idle == nil {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// owe adds to what is missing and opens or closes idle. l.mu is held.
func (l *Ledger) owe(pending, working int) {
	l.pending += pending
	l.working += working
	switch busy := l.pending+l.working > 0; {
	case busy && l.idle == nil:
		l.idle = make(chan struct{})
	case !busy && l.idle != nil:
		close(l.idle)
		l.idle = nil
	}
}

// enter files r and what it owes. l.mu is held.
func (l *Ledger) enter(r *record) {
	l.serial++
	r.serial = l.serial
	l.events[r.ID] = r
	l.order = append(l.order, r)
	t := l.threads[r.Context]
	if t == nil {
		t = &thread{last: map[way]uint64{}}
		l.threads[r.Context] = t
	}
	t.records++
	for _, d := range r.dues {
		l.pair(r.from, d.to).sent++
		l.all.sent++
		d.outage = l.outageOf(r.from.Stamp, d.to.Stamp)
		if d.outage != nil {
			d.outage.Missing++
		}
	}
	l.owe(len(r.dues), 0)
	l.trim()
}

// trim forgets the oldest settled events beyond the bound. One that waits
// moves to the end, so that it does not keep the others. l.mu is held.
func (l *Ledger) trim() {
	for range 2 {
		if len(l.order) <= l.remember {
			return
		}
		r := l.order[0]
		l.order[0] = nil
		l.order = l.order[1:]
		if slices.ContainsFunc(r.dues, (*due).missing) {
			l.order = append(l.order, r)
			continue
		}
		l.forget(r)
	}
}

// forget removes r, but not from l.order. l.mu is held.
func (l *Ledger) forget(r *record) {
	delete(l.events, r.ID)
	t := l.threads[r.Context]
	if t.records--; t.records == 0 {
		delete(l.threads, r.Context)
	}
}

// missing reports whether the delivery must still happen.
func (d *due) missing() bool { return d.expected && d.copies == 0 }

// due returns the delivery of r to s, or nil.
func (r *record) due(s *Seat) *due {
	for _, d := range r.dues {
		if d.to == s || slices.Contains(d.or, s) {
			return d
		}
	}
	return nil
}

// moveTo makes s the one who gets the delivery d of r. l.mu is held.
func (l *Ledger) moveTo(r *record, d *due, s *Seat) {
	l.pair(r.from, d.to).sent--
	l.pair(r.from, s).sent++
	d.or = append(d.or, d.to)
	d.to = s
}

// arrive notes the first copy of an expected delivery. l.mu is held.
func (l *Ledger) arrive(r *record, d *due) {
	now := l.now()
	delay := max(0, now.Sub(r.at))
	l.pair(r.from, d.to).arrive(delay)
	l.all.arrive(delay)
	t := l.threads[r.Context]
	w := way{r.from, d.to, d.to.subscription(r.Type)}
	if r.serial < t.last[w] {
		l.stray.disordered++
	}
	t.last[w] = max(t.last[w], r.serial)
	l.crossed(r, d, now, delay)
	l.owe(-1, 0)
	if len(l.recent) == recentCrossings {
		l.recent = append(l.recent[:0], l.recent[1:]...)
	}
	l.recent = append(l.recent, Crossing{
		At: now, Type: r.Type, From: r.from.Stamp, To: d.to.Stamp, Plane: d.to.Name, Delay: delay,
	})
}

// pair returns the count of the pair of stamps. l.mu is held.
func (l *Ledger) pair(from, to *Seat) *count {
	k := Pair{from.Stamp, to.Stamp}
	c := l.pairs[k]
	if c == nil {
		c = &count{}
		l.pairs[k] = c
	}
	return c
}
