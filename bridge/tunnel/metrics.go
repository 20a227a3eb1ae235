package tunnel

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ringway/ringway/topology"
)

type clientMetrics struct {
	requests *prometheus.CounterVec
	again    *prometheus.CounterVec
}

// newClientMetrics registers with r. A nil r makes metrics that nobody sees.
func newClientMetrics(r prometheus.Registerer, open func() int) *clientMetrics {
	f := promauto.With(r)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ringway_tunnel_open",
		Help: "Requests through the tunnel that are under way from here.",
	}, func() float64 { return float64(open()) })
	return &clientMetrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_tunnel_requests_total",
			Help: "Requests to another stamp that were answered, by class of status or reason.",
		}, []string{"to", "result"}),
		again: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringway_tunnel_again_total",
			Help: "Requests that were given to another replica because the first was lost.",
		}, []string{"to"}),
	}
}

// newServed counts what a server does.
func newServed(r prometheus.Registerer) *prometheus.CounterVec {
	return promauto.With(r).NewCounterVec(prometheus.CounterOpts{
		Name: "ringway_tunnel_served_total",
		Help: "Requests from another stamp that were served here, by class of status or reason.",
	}, []string{"from", "result"})
}

// count adds one to v for a stamp: the class of a status, or the reason of err.
func count(v *prometheus.CounterVec, stamp topology.StampID, code int, err *Error) {
	result := strconv.Itoa(code/100) + "xx"
	if err != nil {
		result = err.Reason
	}
	v.WithLabelValues(string(stamp), result).Inc()
}
