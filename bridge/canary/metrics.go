package canary

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/topology"
)

type metrics struct {
	delay *prometheus.GaugeVec
	lost  *prometheus.CounterVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer, peers func() []Peer) *metrics {
	f := promauto.With(r)
	m := &metrics{
		delay: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringway_canary_delay_seconds",
			Help: "One way from this stamp to another, as the last canary took it.",
		}, []string{"to"}),
		lost: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_canary_lost_total",
			Help: "Canaries without an answer, or with one that events could not be stored.",
		}, []string{"to"}),
	}
	if r != nil {
		r.MustRegister(&ages{peers: peers, desc: prometheus.NewDesc(
			"ringway_canary_age_seconds",
			"For how long no canary has got through to a stamp and back.", []string{"to"}, nil,
		)})
	}
	return m
}

func (m *metrics) lose(to topology.StampID, n int) {
	if n > 0 {
		m.lost.WithLabelValues(string(to)).Add(float64(n))
	}
}

// drop forgets a peer.
func (m *metrics) drop(to topology.StampID) {
	m.delay.DeleteLabelValues(string(to))
	m.lost.DeleteLabelValues(string(to))
}

// ages is a prometheus.Collector: an age grows by itself.
type ages struct {
	peers func() []Peer
	desc  *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (a *ages) Describe(ch chan<- *prometheus.Desc) { ch <- a.desc }

// Collect implements prometheus.Collector.
func (a *ages) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, p := range a.peers() {
		ch <- prometheus.MustNewConstMetric(a.desc, prometheus.GaugeValue, p.Age(now).Seconds(), string(p.Stamp))
	}
}
