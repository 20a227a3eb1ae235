package gateway

import "github.com/ringway/ringway/bridge/call"

// PlaneHandler returns what answers the uniform API.
func (g *Gateway) PlaneHandler() call.Handler { return g.planeHandler() }
