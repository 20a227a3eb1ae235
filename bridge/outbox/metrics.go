package outbox

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	captured   prometheus.Counter
	routed     *prometheus.CounterVec
	forwarded  *prometheus.CounterVec
	acked      *prometheus.CounterVec
	held       *prometheus.CounterVec
	refused    *prometheus.CounterVec
	holding    *prometheus.GaugeVec
	ackSeconds *prometheus.HistogramVec
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		captured: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_events_captured_total",
			Help: "Events published by clients of this stamp and read from RW_OUT.",
		}),
		routed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_routed_total",
			Help: "Copies of events given to a target, by the rule of the topology that chose it.",
		}, []string{"to", "rule"}),
		forwarded: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_forwarded_total",
			Help: "Sends to a target, repeated ones included.",
		}, []string{"to"}),
		acked: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_acked_total",
			Help: "Events that a target has stored.",
		}, []string{"to"}),
		held: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_held_total",
			Help: "Events stored in RW_HOLD because their target was away.",
		}, []string{"to"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_refused_total",
			Help: "Events of this stamp that must not cross, by reason.",
		}, []string{"reason"}),
		holding: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringway_target_away",
			Help: "1 while a target does not answer and its events are held.",
		}, []string{"to"}),
		ackSeconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringway_forward_seconds",
			Help:    "Time from sending an event to the target's answer that it is stored.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 14),
		}, []string{"to"}),
	}
}

// Counter counts the events that other stamps have stored.
func (o *Outbox) Counter() prometheus.Collector { return o.metrics.acked }
