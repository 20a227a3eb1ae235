package pull

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	polls    *prometheus.CounterVec
	last     *prometheus.GaugeVec
	injected *prometheus.CounterVec
	dead     *prometheus.CounterVec
	known    *prometheus.GaugeVec
	posts    *prometheus.CounterVec
	lookups  *prometheus.CounterVec
	waiting  *prometheus.GaugeVec
	delay    *prometheus.HistogramVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"control"}, labels...))
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"control"})
	}
	return &metrics{
		polls:    counter("ringway_pull_polls_total", "Rounds in which a control plane was asked for its open events.", "result"),
		last:     gauge("ringway_pull_last_poll_timestamp_seconds", "When a control plane last answered a whole round."),
		injected: counter("ringway_pull_events_total", "Open events that were put in as if they had been published here."),
		dead:     counter("ringway_pull_dead_total", "Open events and answers that were set aside.", "reason"),
		known:    gauge("ringway_pull_known", "Open events that are known, so that they are not put in twice."),
		posts:    counter("ringway_pull_posts_total", "Posts of answers, by what came of them.", "result"),
		lookups:  counter("ringway_pull_lookups_total", "Questions whether an answer whose reply was lost had been taken.", "result"),
		waiting:  gauge("ringway_pull_waiting", "Answers that are not posted yet."),
		delay: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ringway_pull_post_seconds", Help: "From taking an answer over to knowing that the control plane has it.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}, []string{"control"}),
	}
}
