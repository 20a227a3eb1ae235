package demo

import (
	"cmp"
	"slices"
	"time"
)

// A Pair is a way between two stamps.
type Pair struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Totals counts deliveries: one event to one plane of one stamp, sent from
// another stamp. What stays in a stamp is not counted, but for its duplicates.
type Totals struct {
	Sent       int `json:"sent"`
	Delivered  int `json:"delivered"`
	Lost       int `json:"lost"` // not delivered; while events are on their way: those as well
	Duplicated int `json:"duplicated"`
}

// Delay is how long deliveries took from the sender's publish, in
// milliseconds; the quantiles are at most 5 % too high.
type Delay struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// PairCount is what happened on the way between two stamps.
type PairCount struct {
	Pair
	Totals
	DelayMS Delay `json:"delay_ms"`
}

// An Outage is one cut and what it cost. Times are in milliseconds.
type Outage struct {
	Stamp     string   `json:"stamp"`
	CutMS     float64  `json:"cut_ms"`               // from cut to heal; 0 while it lasts
	Waited    int      `json:"waited"`               // deliveries that waited for the heal
	LongestMS float64  `json:"longest_ms"`           // the longest such wait, from the sender's publish
	FirstMS   *float64 `json:"first_ms,omitempty"`   // from the heal to the first delivery
	DrainedMS *float64 `json:"drained_ms,omitempty"` // from the heal to the last delivery that had waited
	Missing   int      `json:"missing"`              // deliveries that still wait
}

// A Crossing is one delivery between stamps.
type Crossing struct {
	At       time.Time
	Type     string
	From, To string
	Plane    string
	Delay    time.Duration
}

// A Report is what a Ledger knows.
type Report struct {
	Totals
	Waited     int         `json:"waited"`     // deliveries that waited for a cut link
	Misrouted  int         `json:"misrouted"`  // seen in a stamp that must not see it
	Altered    int         `json:"altered"`    // seen with another body than was sent
	Disordered int         `json:"disordered"` // overtaken by a later event of the same shkeptncontext
	Unknown    int         `json:"unknown"`    // seen, but sent by nobody
	Foreign    int         `json:"foreign"`    // seen, with a source that is nobody here: no fault
	DelayMS    Delay       `json:"delay_ms"`
	Pairs      []PairCount `json:"pairs"`
	Cuts       []Outage    `json:"cuts"`
}

// Kept reports whether everything that was promised was kept.
func (r Report) Kept() bool {
	return r.Lost+r.Duplicated+r.Misrouted+r.Altered+r.Disordered+r.Unknown == 0
}

// A count is what happened on one way.
type count struct {
	sent, delivered, duplicated int
	delays                      histogram
}

func (c *count) arrive(d time.Duration) {
	c.delivered++
	c.delays.add(d)
}

func (c *count) totals() Totals {
	return Totals{Sent: c.sent, Delivered: c.delivered, Lost: c.sent - c.delivered, Duplicated: c.duplicated}
}

func (c *count) delay() Delay {
	return Delay{P50: ms(c.delays.quantile(0.5)), P99: ms(c.delays.quantile(0.99)), Max: ms(c.delays.max)}
}

// Report returns what the Ledger knows now. Pairs are in the order of their
// names, Cuts in the order in which they happened.
func (l *Ledger) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{
		Totals: l.all.totals(), DelayMS: l.all.delay(),
		Misrouted: l.stray.misrouted, Altered: l.stray.altered,
		Disordered: l.stray.disordered, Unknown: l.stray.unknown, Foreign: l.stray.foreign,
		Pairs: []PairCount{}, Cuts: []Outage{},
	}
	for k, c := range l.pairs {
		r.Pairs = append(r.Pairs, PairCount{Pair: k, Totals: c.totals(), DelayMS: c.delay()})
	}
	slices.SortFunc(r.Pairs, func(a, b PairCount) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	for _, o := range l.outages {
		r.Waited += o.Waited
		r.Cuts = append(r.Cuts, o.Outage)
	}
	return r
}

// Totals returns the sums of Report, at less cost.
func (l *Ledger) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.totals()
}

// Recent returns the last deliveries, oldest first; at most 32.
func (l *Ledger) Recent() []Crossing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.recent)
}
