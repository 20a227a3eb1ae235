package demo

import "time"

// An outage is one cut of a stamp's links, as the Ledger sees it.
type outage struct {
	Outage
	cut, healed time.Time
}

// Cut notes that stamp is about to be cut off. What is on its way from or to
// it, and what is sent until Heal, may have to wait.
func (l *Ledger) Cut(stamp string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := &outage{Outage: Outage{Stamp: stamp}, cut: l.now()}
	l.outages = append(l.outages, o)
	for _, r := range l.events {
		for _, d := range r.dues {
			if d.missing() && d.outage == nil && (r.from.Stamp == stamp || d.to.Stamp == stamp) {
				d.outage = o
				o.Missing++
			}
		}
	}
}

// Heal notes that stamp's links have just been let through again.
func (l *Ledger) Heal(stamp string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.outages {
		if o.Stamp == stamp && o.healed.IsZero() {
			o.healed = l.now()
			o.CutMS = ms(o.healed.Sub(o.cut))
		}
	}
}

// outageOf returns the outage that a delivery between two stamps has to wait
// for, or nil. l.mu is held.
func (l *Ledger) outageOf(from, to string) *outage {
	for _, o := range l.outages {
		if o.healed.IsZero() && (o.Stamp == from || o.Stamp == to) {
			return o
		}
	}
	return nil
}

// crossed brings the outages up to date with a delivery. l.mu is held.
func (l *Ledger) crossed(r *record, d *due, now time.Time, delay time.Duration) {
	for _, o := range l.outages {
		if o.FirstMS == nil && !o.healed.IsZero() && (o.Stamp == r.from.Stamp || o.Stamp == d.to.Stamp) {
			first := ms(now.Sub(o.healed))
			o.FirstMS = &first
		}
	}
	o := d.outage
	if o == nil {
		return
	}
	if !o.healed.IsZero() {
		o.Waited++
		o.LongestMS = max(o.LongestMS, ms(delay))
		drained := ms(now.Sub(o.healed))
		o.DrainedMS = &drained
	}
	l.leave(d)
}

// leave ends the waiting of d. l.mu is held.
func (l *Ledger) leave(d *due) {
	if d.outage != nil {
		d.outage.Missing--
		d.outage = nil
	}
}

// ms returns d in milliseconds with three digits behind the point.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
