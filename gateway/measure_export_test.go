package gateway

import "github.com/prometheus/client_golang/prometheus"

// Registry returns where the gateway's metrics are registered.
func (g *Gateway) Registry() *prometheus.Registry { return g.reg }
