package takeover

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	taken   prometheus.Counter
	skipped *prometheus.CounterVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		taken: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_takeover_events_total",
			Help: "Events taken over from the stream of an external NATS because they were not captured.",
		}),
		skipped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_takeover_skipped_total",
			Help: "Events of the stream of an external NATS that were not captured and are not taken over, by reason.",
		}, []string{"reason"}),
	}
}
