package inbox

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/topology"
)

type metrics struct {
	received     *prometheus.CounterVec
	repeated     *prometheus.CounterVec
	delivered    *prometheus.CounterVec
	unwanted     *prometheus.CounterVec
	dead         *prometheus.CounterVec
	waiting      prometheus.Gauge
	waitingBytes prometheus.Gauge
	held         prometheus.Gauge
	doubtful     prometheus.Gauge
	again        prometheus.Counter
	delay        *prometheus.HistogramVec

	senders map[topology.StampID]*sender // owned by run
}

// A sender is what is counted for each event of one stamp: finding it by its label
// costs more than counting.
type sender struct {
	received, delivered prometheus.Counter
	delay               prometheus.Observer
}

// of returns what is counted for a stamp.
func (m *metrics) of(stamp topology.StampID) *sender {
	s := m.senders[stamp]
	if s == nil {
		from := strings.Clone(string(stamp)) // it may be part of a subject
		s = &sender{
			received: m.received.WithLabelValues(from), delivered: m.delivered.WithLabelValues(from), delay: m.delay.WithLabelValues(from),
		}
		m.senders[topology.StampID(from)] = s
	}
	return s
}

// newMetrics registers with r. A nil r makes metrics that nobody sees.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		senders: map[topology.StampID]*sender{},
		received: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_received_total",
			Help: "Events from another stamp that were stored here.",
		}, []string{"from"}),
		repeated: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_repeated_total",
			Help: "Events not delivered because another stamp had sent the same one.",
		}, []string{"from"}),
		delivered: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_delivered_total",
			Help: "Events given to the clients of this stamp.",
		}, []string{"from"}),
		unwanted: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_unwanted_total",
			Help: "Events that inform and that nobody subscribed to.",
		}, []string{"from"}),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_events_undelivered_total",
			Help: "Events put aside as dead letters on arrival, by reason.",
		}, []string{"from", "reason"}),
		waiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_events_waiting",
			Help: "Events that wait to be given to the clients of this stamp.",
		}),
		waitingBytes: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_events_waiting_bytes",
			Help: "Size of the events that wait for a subscriber.",
		}),
		held: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_events_frozen",
			Help: "Events that wait because an operator has frozen or drained the stamp.",
		}),
		doubtful: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringway_tasks_doubtful",
			Help: "Tasks that a plane may have got before its connection or this process ended, and that nobody has answered.",
		}),
		again: f.NewCounter(prometheus.CounterOpts{
			Name: "ringway_tasks_given_again_total",
			Help: "Tasks given to the planes once more because no plane had answered them.",
		}),
		delay: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringway_event_delay_seconds",
			Help:    "Time from capture in the origin to delivery here, by origin. Clocks of both stamps count.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2.5, 16),
		}, []string{"from"}),
	}
}

// Counter counts the events that were given to the clients of this stamp.
func (in *Inbox) Counter() prometheus.Collector { return in.metrics.delivered }
