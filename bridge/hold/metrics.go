package hold

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/bridge"
)

type metrics struct {
	holding *prometheus.GaugeVec
	orders  *prometheus.CounterVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		holding: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringway_holding",
			Help: "1 while an operator has the stamp hold what begins something new, by mode: freeze or drain.",
		}, []string{"mode"}),
		orders: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_orders_total",
			Help: "Orders of operators, by verb and result: done or refused.",
		}, []string{"verb", "result"}),
	}
}

func (m *metrics) set(h bridge.Holding) {
	for _, mode := range []bridge.Verb{bridge.VerbFreeze, bridge.VerbDrain} {
		is := 0.0
		if h.Mode == mode {
			is = 1
		}
		m.holding.WithLabelValues(string(mode)).Set(is)
	}
}
