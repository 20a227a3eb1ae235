package task

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	open      prometheus.Gauge
	held      prometheus.Gauge
	refused   *prometheus.CounterVec
	offers    *prometheus.CounterVec
	declined  *prometheus.CounterVec
	deadlines *prometheus.CounterVec
	told      *prometheus.CounterVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		open: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_tasks_open",
			Help: "Tasks that a control plane of this stamp gave to others and that are not over.",
		}),
		held: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_task_answers_held",
			Help: "Answers that wait until every stamp of their task has started.",
		}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_task_answers_refused_total",
			Help: "Answers that were set aside: the stamp was not asked, was late, or had answered.",
		}, []string{"from", "reason"}),
		offers: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_task_offers_total",
			Help: "Tasks for any one stamp that were offered to a stamp.",
		}, []string{"to"}),
		declined: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_task_declines_total",
			Help: "Tasks for which a stamp said that it has no plane.",
		}, []string{"from"}),
		deadlines: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_task_deadlines_total",
			Help: "Answers written in a stamp's name, by how (errored or warning), and tasks set aside that no stamp took (dead-letter).",
		}, []string{"action"}),
		told: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_task_waits_told_total",
			Help: "Tasks of which the control plane was told that they wait for a stamp that cannot be reached.",
		}, []string{"to"}),
	}
}
