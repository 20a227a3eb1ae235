package face

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	requests    *prometheus.CounterVec
	refused     *prometheus.CounterVec
	connections prometheus.Gauge
	seconds     *prometheus.HistogramVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_rest_requests_total",
			Help: "Requests of clients of the stamp that were answered, by class of status.",
		}, []string{"face", "result"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_rest_refused_total",
			Help: "Requests that went no further than the face, by reason.",
		}, []string{"face", "reason"}),
		connections: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_rest_connections",
			Help: "Connections of clients that are open.",
		}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringway_rest_seconds",
			Help:    "How long Keptn's calls took to be answered.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30},
		}, []string{"face"}),
	}
}
