package demo

import (
	"context"
	"fmt"
	"time"
)

// A Summary is how a Show ended. As JSON it is what `ringway up -o json`
// prints.
type Summary struct {
	OK bool `json:"ok"` // nothing lost, duplicated, misrouted, altered, disordered or hanging
	Report
	Progress
	Seconds float64     `json:"seconds"`  // from ready to the end
	ReadyMS float64     `json:"ready_ms"` // from the start of the federation to ready; set by the caller
	Stamps  []StampInfo `json:"stamps"`
}

// summary sums up after took.
func (s *Show) summary(took time.Duration) Summary {
	out := Summary{
		Report: s.ledger.Report(), Progress: s.progress(),
		Seconds: took.Seconds(), Stamps: s.cfg.Federation.Stamps(),
	}
	out.OK = out.Kept() && out.Hung == 0
	return out
}

// progress adds up the control planes.
func (s *Show) progress() Progress {
	sum := Progress{Hangs: []Hang{}}
	for _, c := range s.controls {
		p := c.Progress()
		sum.Sequences += p.Sequences
		sum.Completed += p.Completed
		sum.Failed += p.Failed
		sum.Tasks += p.Tasks
		sum.Unrouted += p.Unrouted
		sum.Late += p.Late
		sum.Hung += p.Hung
		sum.Hangs = append(sum.Hangs, p.Hangs...)
	}
	return sum
}

// A Snapshot is a Show at one moment.
type Snapshot struct {
	Phase    string // starting, running, draining, over
	Stamps   []StampInfo
	Links    []LinkInfo
	Report   Report // Lost counts what is on its way
	Progress Progress
	Recent   []Crossing // oldest first
}

// Snapshot returns how things stand. It may be called at any time.
func (s *Show) Snapshot() Snapshot {
	s.mu.Lock()
	phase := s.phase
	s.mu.Unlock()
	return Snapshot{
		Phase: phase, Stamps: s.cfg.Federation.Stamps(), Links: s.cfg.Federation.Links(),
		Report: s.ledger.Report(), Progress: s.progress(), Recent: s.ledger.Recent(),
	}
}

// cut cuts a stamp off and heals it again, at the latest when sending has
// ended: what waits must arrive.
func (s *Show) cut(sending, life context.Context, c CutSpec) {
	if !pause(sending, c.After) {
		s.cfg.OnLog(fmt.Sprintf("%s is not cut: sending was over before", c.Stamp))
		return
	}
	s.ledger.Cut(c.Stamp)
	if err := s.cfg.Federation.Cut(c.Stamp); err != nil {
		s.cfg.OnLog(fmt.Sprintf("cut %s: %v", c.Stamp, err))
	}
	s.cfg.OnLog(fmt.Sprintf("%s is cut off for %s", c.Stamp, c.For))
	pause(sending, c.For)
	// The clock starts before the links are let through.
	s.ledger.Heal(c.Stamp)
	if err := s.cfg.Federation.Heal(c.Stamp); err != nil {
		s.cfg.OnLog(fmt.Sprintf("heal %s: %v", c.Stamp, err))
	}
	s.cfg.OnLog(c.Stamp + " is back")
	ctx, cancel := context.WithTimeout(life, s.cfg.Drain)
	defer cancel()
	o := s.recovered(ctx, c.Stamp)
	switch {
	case o.Missing > 0:
		s.cfg.OnLog(fmt.Sprintf("%s: %d events still wait", c.Stamp, o.Missing))
	case o.FirstMS != nil && o.DrainedMS != nil:
		s.cfg.OnLog(fmt.Sprintf("%s has caught up: first event after %.0f ms, all %d that waited after %.0f ms",
			c.Stamp, *o.FirstMS, o.Waited, *o.DrainedMS))
	default:
		s.cfg.OnLog(c.Stamp + ": nothing had to wait")
	}
}

// recovered waits until nothing waits for the last cut of stamp any more, or
// ctx is cancelled.
func (s *Show) recovered(ctx context.Context, stamp string) Outage {
	for {
		var last Outage
		for _, o := range s.ledger.Report().Cuts {
			if o.Stamp == stamp {
				last = o
			}
		}
		if last.Missing == 0 || !pause(ctx, 20*time.Millisecond) {
			return last
		}
	}
}
