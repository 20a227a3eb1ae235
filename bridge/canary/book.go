package canary

import (
	"time"

	"github.com/ringway/ringway/topology"
)

const (
	// window is over how many questions loss is counted.
	window = 60
	// filter is among how many answers the one with the shortest round trip
	// says how far apart the clocks are: it was held up least on its way.
	filter = 8
	// maxOpen bounds the questions to one peer that have no answer yet.
	maxOpen = 64
)

// A question is what is asked. Times are Unix nanoseconds of the clock of
// whoever took them.
type question struct {
	N     uint64 `json:"n"`     // counts the questions to one peer
	Asker string `json:"asker"` // the process that asks
	Asked int64  `json:"asked"` // by the asker's clock
}

// An answer is what comes back.
type answer struct {
	question
	Got     int64  `json:"got"`  // by the answerer's clock
	Sent    int64  `json:"sent"` // the same
	Hash    string `json:"hash"` // of the topology in force there
	Version string `json:"version"`
	Packs   bool   `json:"packs,omitempty"` // several events in one message are read
	Hold    string `json:"hold,omitempty"`
	Err     string `json:"err,omitempty"` // why events could not be stored now
}

// A Peer is what is known of the way to another stamp and back.
type Peer struct {
	Stamp   topology.StampID
	Since   time.Time     // asked since then
	Last    time.Time     // when an answer last came that says events are stored; zero if never
	RTT     time.Duration // round trip of the last answer, without the answerer's own time
	Delay   time.Duration // there, one way, as far as it can be told
	Back    time.Duration // back, the same
	Offset  time.Duration // the peer's clock minus ours
	Lost    int           // of the last Of questions
	Of      int
	Hash    string // of the topology in force there
	Version string
	Packs   bool   // it reads several events in one message
	Hold    string // why it holds what begins something new, a word; empty if it does not
	Err     string // why the last question failed; empty if it did not
}

// Age returns for how long nothing has got through.
func (p Peer) Age(now time.Time) time.Duration {
	if p.Last.IsZero() {
		return now.Sub(p.Since)
	}
	return now.Sub(p.Last)
}

// A record keeps the questions to one peer. It reads no clock and is not safe
// for concurrent use.
type record struct {
	Peer

	due    time.Time // of the next question
	soon   time.Time // of one before that; zero: there is none
	extra  int       // how many of these may be asked
	last   time.Time // when it was last asked
	n      uint64
	open   []asked // without an answer, oldest first
	lost   [window]bool
	next   int // in lost
	trips  [filter]trip
	nTrips int
}

// asked is a question without an answer.
type asked struct {
	n    uint64
	at   time.Time
	soon bool // it is no loss if nobody answers
}

// A trip is what one answer says of the clocks.
type trip struct{ rtt, offset time.Duration }

// silent reports whether the last question has failed, or none was answered yet.
func (r *record) silent() bool { return r.Err != "" || r.Last.IsZero() }

// askSoon has a peer asked before it is due, if it is silent, not sooner than at a time
// and some time after the last question.
func (r *record) askSoon(at time.Time) {
	if first := r.last.Add(soonEvery); first.After(at) {
		at = first
	}
	if r.n > 0 && r.silent() && r.extra > 0 && at.Before(r.due) && (r.soon.IsZero() || at.Before(r.soon)) {
		r.soon = at
	}
}

// ask makes the next question.
func (r *record) ask(now time.Time, asker string, soon bool) question {
	r.n++
	r.last, r.soon = now, time.Time{}
	if len(r.open) == maxOpen {
		r.lose()
	}
	r.open = append(r.open, asked{n: r.n, at: now, soon: soon})
	return question{N: r.n, Asker: asker, Asked: now.UnixNano()}
}

// take notes an answer. It is false if the question is not open: settled,
// given up, or never asked.
func (r *record) take(now time.Time, a answer) bool {
	for i, q := range r.open {
		if q.n != a.N || q.at.UnixNano() != a.Asked {
			continue
		}
		r.open = append(r.open[:i], r.open[i+1:]...)
		r.Hash, r.Version, r.Packs, r.Hold, r.Err = a.Hash, a.Version, a.Packs, a.Hold, a.Err
		r.count(a.Err != "")
		if a.Err == "" {
			r.Last, r.soon = now, time.Time{}
		}
		r.measure(q.at, now, a)
		return true
	}
	return false
}

// measure reckons delays and offset. Our own time between question and answer
// is taken by the monotonic clock, so that a clock that is set meanwhile does
// no harm.
func (r *record) measure(at, now time.Time, a answer) {
	took := now.Sub(at)
	there := min(max(time.Duration(a.Sent-a.Got), 0), took) // in the answerer
	out := time.Duration(a.Got - a.Asked)
	back := time.Duration(a.Asked + int64(took) - a.Sent)
	r.RTT = took - there
	r.trips[r.nTrips%filter] = trip{rtt: r.RTT, offset: (out - back) / 2}
	r.nTrips++
	best := r.trips[0]
	for _, t := range r.trips[:min(r.nTrips, filter)] {
		if t.rtt < best.rtt {
			best = t
		}
	}
	r.Offset = best.offset
	r.Delay = min(max(out-r.Offset, 0), r.RTT)
	r.Back = r.RTT - r.Delay
}

// refuse notes that there is no way to the peer: whatever is open is lost.
func (r *record) refuse(why string) (lost int) {
	for len(r.open) > 0 {
		lost += r.lose()
		r.Err = why
	}
	return lost
}

// lose gives up the oldest question that has no answer, and returns how many were lost.
func (r *record) lose() int {
	q := r.open[0]
	r.open = r.open[1:]
	if q.soon {
		return 0
	}
	r.count(true)
	return 1
}

// expire gives up what was asked before limit.
func (r *record) expire(limit time.Time) (lost int) {
	for len(r.open) > 0 && r.open[0].at.Before(limit) {
		lost += r.lose()
		r.Err = "no answer in time"
	}
	return lost
}

// count moves the window on by one question.
func (r *record) count(lost bool) {
	if r.Of < window {
		r.Of++
	} else if r.lost[r.next] {
		r.Lost--
	}
	r.lost[r.next] = lost
	if lost {
		r.Lost++
	}
	r.next = (r.next + 1) % window
}
