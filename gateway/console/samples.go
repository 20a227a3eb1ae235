package console

import (
	"math"
	"sync"
	"time"
)

const (
	// sampleEvery and sampleFor say how far the charts look back, and how closely.
	sampleEvery = 5 * time.Second
	sampleFor   = time.Hour
	sampleCount = int(sampleFor / sampleEvery)
	// maxPeers bounds the stamps whose delays are remembered, 3 KB each.
	maxPeers = 512
)

// A Sample is how far the gateway's own counters are, and what its canaries last
// found.
type Sample struct {
	Sent      float64            // events that other stamps have stored, since the start
	Delivered float64            // events given to the clients of the stamp, since the start
	Delay     map[string]float64 // one way to each stamp, in seconds; those that are out of reach are left out
}

// A curve is the values of the last hour, the oldest first; NaN where there is
// none.
type curve [sampleCount]float32

// samples remembers the last hour. It is safe for concurrent use.
type samples struct {
	mu        sync.Mutex
	last      Sample
	lastAt    time.Time // zero: none yet
	at        int       // where the next one goes
	sent      *curve
	delivered *curve
	delay     map[string]*curve
}

func newSamples() *samples {
	return &samples{sent: empty(), delivered: empty(), delay: map[string]*curve{}}
}

func empty() *curve {
	c := new(curve)
	for i := range c {
		c[i] = float32(math.NaN())
	}
	return c
}

// add remembers a sample.
func (s *samples) add(is Sample, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.at
	s.at = (s.at + 1) % sampleCount
	s.sent[i] = rate(s.last.Sent, is.Sent, s.lastAt, now)
	s.delivered[i] = rate(s.last.Delivered, is.Delivered, s.lastAt, now)
	s.last, s.lastAt = is, now
	for name, c := range s.delay {
		c[i] = float32(math.NaN())
		if c.gone() {
			delete(s.delay, name)
		}
	}
	for name, d := range is.Delay {
		c := s.delay[name]
		if c == nil {
			if len(s.delay) >= maxPeers {
				continue
			}
			c = empty()
			s.delay[name] = c
		}
		c[i] = float32(d)
	}
}

// rate is per second; none after a counter began again.
func rate(was, is float64, then, now time.Time) float32 {
	d := now.Sub(then).Seconds()
	if then.IsZero() || d <= 0 || is < was {
		return float32(math.NaN())
	}
	return float32((is - was) / d)
}

func (c *curve) gone() bool {
	for _, v := range c {
		if !math.IsNaN(float64(v)) {
			return false
		}
	}
	return true
}

// from returns c in order when the next value goes to at.
func (c *curve) from(at int) curve {
	var out curve
	n := copy(out[:], c[at:])
	copy(out[n:], c[:at])
	return out
}

// rates returns events per second: sent to other stamps, and delivered here.
func (s *samples) rates() (sent, delivered curve) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.from(s.at), s.delivered.from(s.at)
}

// delays returns the delay to each stamp.
func (s *samples) delays() map[string]curve {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]curve, len(s.delay))
	for name, c := range s.delay {
		out[name] = c.from(s.at)
	}
	return out
}

// delayTo returns the delay to one stamp, and whether there is any.
func (s *samples) delayTo(name string) (curve, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.delay[name]
	if c == nil {
		return curve{}, false
	}
	return c.from(s.at), true
}
