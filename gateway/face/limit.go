package face

import (
	"net/netip"
	"sync"
	"time"
)

// Failed attempts to show a token: one a second, and two at once, as Keptn's
// api-service has it.
const (
	failRate  = 1.0
	failBurst = 2.0
	// maxFailing bounds the sources that are remembered.
	maxFailing = 8192
)

// A limiter counts failed attempts. While a source has had too many, what it
// shows is refused right or wrong, or it could go on guessing. Only who has shown
// the right token from there before is still let in: a plane with a wrong token
// does not lock out the others behind the same address.
type limiter struct {
	mu   sync.Mutex // guards the fields below
	from map[attempt]bucket
	good map[attempt]bool // whose token was right
}

// An attempt is who tries to be whom.
type attempt struct {
	source netip.Addr
	plane  string // of the prefix, if there is such a plane; in good that of the token
}

// A bucket is how many attempts were left at some time.
type bucket struct {
	left float64
	at   time.Time
}

func newLimiter() *limiter { return &limiter{from: map[attempt]bucket{}, good: map[attempt]bool{}} }

// now returns what is left at a time.
func (b bucket) now(now time.Time) float64 {
	return min(failBurst, b.left+failRate*now.Sub(b.at).Seconds())
}

// allows reports whether a may try.
func (l *limiter) allows(a attempt, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.from[a]
	return !ok || b.now(now) >= 1
}

// failed counts a failed attempt.
func (l *limiter) failed(a attempt, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.from[a]
	if !ok {
		b = bucket{failBurst, now}
		l.room(now)
	}
	l.from[a] = bucket{b.now(now) - 1, now}
}

// succeeded reports whether a right token of a plane is let in. If no more than
// may be failed before, that is forgotten.
func (l *limiter) succeeded(a attempt, plane string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := attempt{a.source, plane}
	if b, ok := l.from[a]; ok {
		if b.now(now) < 1 {
			return l.good[known]
		}
		delete(l.from, a)
	}
	if !l.good[known] {
		if len(l.good) >= maxFailing {
			clear(l.good)
		}
		l.good[known] = true
	}
	return true
}

// room makes room for one more. The caller holds mu.
func (l *limiter) room(now time.Time) {
	if len(l.from) < maxFailing {
		return
	}
	for a, b := range l.from {
		if b.now(now) >= failBurst {
			delete(l.from, a)
		}
	}
	for a := range l.from { // any one
		if len(l.from) < maxFailing {
			return
		}
		delete(l.from, a)
	}
}

// sourceOf returns the address of host:port, or none.
func sourceOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// counted returns the address by which failures are counted: that of the network
// for IPv6, where one client has billions.
func counted(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
