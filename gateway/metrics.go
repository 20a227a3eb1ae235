package gateway

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/gateway/node"
)

type metrics struct {
	ready    prometheus.Gauge
	links    *prometheus.GaugeVec
	topology *prometheus.GaugeVec
	reloads  *prometheus.CounterVec
	store    prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		store: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_store_troubles",
			Help: "Things that are wrong with the streams on the disk; see /status.",
		}),
		ready: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_ready",
			Help: "1 while this process can serve its own stamp.",
		}),
		links: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringway_link_up",
			Help: "1 while a connection to another stamp's server is up.",
		}, []string{"peer", "kind"}),
		topology: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringway_topology_info",
			Help: "1 for the topology in force.",
		}, []string{"hash"}),
		reloads: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_reloads_total",
			Help: "Changes of topology or identity files, by result: applied, pending or refused.",
		}, []string{"result"}),
	}
}

// onLink is told of every link that goes up or down.
func (g *Gateway) onLink(l node.LinkState) {
	g.metrics.onLink(l)
	if p := g.bridge.Load(); p != nil {
		p.outbox.LinksChanged()
	}
}

func (m *metrics) onLink(l node.LinkState) {
	up := 0.0
	if l.Up {
		up = 1
	}
	m.links.WithLabelValues(string(l.Peer), string(l.Kind)).Set(up)
}
