package catch

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	heard, lost prometheus.Counter
	seconds     prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		heard: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_capture_heard_total",
			Help: "Events of clients that this replica heard, at whichever of them they were published.",
		}),
		lost: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_capture_lost_total",
			Help: "Events that could not be stored and found no room to wait.",
		}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringway_capture_seconds",
			Help:    "From hearing an event to the answer that it is stored.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
		}),
	}
}
