package demo

import (
	"errors"
	"fmt"
	"sync"
)

// A Cable is one way to connect: who dials whom, and at which of its
// listeners.
type Cable struct {
	From, To string // stamps; an empty From stands for anybody
	Facet    string // the listener: gateway, leafnode, websocket
}

// A Switchboard holds the Relays of a whole federation, one a Cable, so that a
// stamp can be cut off although all of them live in one process. It is safe
// for concurrent use; Close it when done.
type Switchboard struct {
	mu      sync.Mutex
	relays  map[Cable]*Relay
	targets map[Cable]string // by listener; From is empty
	cut     map[string]bool
	closed  bool
}

// NewSwitchboard returns an empty Switchboard.
func NewSwitchboard() *Switchboard {
	return &Switchboard{relays: map[Cable]*Relay{}, targets: map[Cable]string{}, cut: map[string]bool{}}
}

// Addr returns the host:port at which c.From reaches c.To, and opens a relay
// the first time.
func (s *Switchboard) Addr(c Cable) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", errors.New("switchboard is closed")
	}
	if r := s.relays[c]; r != nil {
		return r.Addr(), nil
	}
	r, err := OpenRelay()
	if err != nil {
		return "", fmt.Errorf("connect %s to %s: %w", c.From, c.To, err)
	}
	s.relays[c] = r
	if target := s.targets[Cable{To: c.To, Facet: c.Facet}]; target != "" {
		r.Forward(target)
	}
	if s.severed(c) {
		r.Cut()
	}
	return r.Addr(), nil
}

// Forward makes every cable to a listener of stamp to lead to target, a
// host:port.
func (s *Switchboard) Forward(to, facet, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets[Cable{To: to, Facet: facet}] = target
	for c, r := range s.relays {
		if c.To == to && c.Facet == facet {
			r.Forward(target)
		}
	}
}

// Cut cuts every cable from and to stamp until Heal.
func (s *Switchboard) Cut(stamp string) { s.set(stamp, true) }

// Heal undoes Cut. A cable stays cut while the stamp at its other end is.
func (s *Switchboard) Heal(stamp string) { s.set(stamp, false) }

func (s *Switchboard) set(stamp string, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[stamp] = cut
	for c, r := range s.relays {
		switch {
		case c.From != stamp && c.To != stamp:
		case s.severed(c):
			r.Cut()
		default:
			r.Heal()
		}
	}
}

// severed reports whether a stamp at an end of c is cut off. s.mu is held.
func (s *Switchboard) severed(c Cable) bool { return s.cut[c.From] || s.cut[c.To] }

// Close closes every relay and returns when nothing of them is left.
func (s *Switchboard) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for c, r := range s.relays {
		errs = append(errs, r.Close())
		delete(s.relays, c)
	}
	return errors.Join(errs...)
}
