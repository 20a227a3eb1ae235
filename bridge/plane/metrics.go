package plane

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	syncs *prometheus.CounterVec
	pings prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, r *Registry) *metrics {
	f := promauto.With(reg)
	reg.MustRegister(counts{r, prometheus.NewDesc("ringway_planes", "Planes of this stamp, by how they talk and how they are.", []string{"how", "state"}, nil)})
	return &metrics{
		syncs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_plane_syncs_total",
			Help: "Registrations confirmed or made with a control plane, by result: done, refused or away.",
		}, []string{"control", "result"}),
		pings: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_plane_pings_total",
			Help: "Pings of planes that were answered here.",
		}),
	}
}

func (m *metrics) noteSync(control string, err error) {
	result := "done"
	switch {
	case errors.Is(err, errAway):
		result = "away"
	case err != nil:
		result = "refused"
	}
	m.syncs.WithLabelValues(control, result).Inc()
}

// counts collects how many planes there are.
type counts struct {
	r    *Registry
	desc *prometheus.Desc
}

// Describe names the metric.
func (c counts) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect counts the planes.
func (c counts) Collect(ch chan<- prometheus.Metric) {
	for k, n := range c.r.count() {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), string(k.how), string(k.state))
	}
}

type kind struct {
	how   How
	state State
}

func (r *Registry) count() map[kind]int {
	now := time.Now()
	out := map[kind]int{}
	for rec, seen := range r.records() {
		out[kind{rec.How, r.state(rec, seen, now)}]++
	}
	return out
}

// Stalest returns since when, and why, a live plane could not be confirmed: the one
// that could not for the longest time.
func (r *Registry) Stalest() (since time.Time, why string) {
	now := time.Now()
	for rec, seen := range r.records() {
		at, reason := rec.stale()
		if r.state(rec, seen, now) == Stale && !at.IsZero() && (since.IsZero() || at.Before(since)) {
			since, why = at, reason
		}
	}
	return since, why
}

// Counts returns how many planes of this stamp are in each state.
func (r *Registry) Counts() map[State]int {
	out := map[State]int{}
	for k, n := range r.count() {
		out[k.state] += n
	}
	return out
}
