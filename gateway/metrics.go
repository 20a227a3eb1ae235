package gateway

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/gateway/node"
)

type metrics struct {
	ready    prometheus.Gauge
	topology *prometheus.GaugeVec
	reloads  *prometheus.CounterVec
	store    prometheus.Gauge
	denied   prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		denied: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_nats_refused_total",
			Help: "Publications and subscriptions of the gateway itself that NATS did not permit.",
		}),
		store: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_store_troubles",
			Help: "Things that are wrong with the streams on the disk; see /status.",
		}),
		ready: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_ready",
			Help: "1 while this process can serve its own stamp.",
		}),
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
func (g *Gateway) onLink(node.LinkState) {
	if p := g.bridge.Load(); p != nil {
		p.outbox.LinksChanged()
		p.asker.LinksChanged()
	}
}
