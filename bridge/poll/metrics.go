package poll

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// What became of a post.
const (
	resultStored   = "stored"
	resultRepeated = "repeated"
	resultRefused  = "refused"
	resultFailed   = "failed"
)

type metrics struct {
	open                    prometheus.Gauge
	pages, empty, unchanged prometheus.Counter
	posts                   *prometheus.CounterVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	polls := f.NewCounterVec(prometheus.CounterOpts{
		Name: "ringway_polls_total",
		Help: "Polls for open events, by what they were answered.",
	}, []string{"answer"})
	return &metrics{
		open: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_open_events",
			Help: "Events that planes which poll may see.",
		}),
		pages: polls.WithLabelValues("page"), empty: polls.WithLabelValues("empty"), unchanged: polls.WithLabelValues("unchanged"),
		posts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_posts_total",
			Help: "Events that planes posted, by what became of them.",
		}, []string{"result"}),
	}
}
