package gateway

import (
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/plane"
)

// PlaneHandler returns what answers the uniform API.
func (g *Gateway) PlaneHandler() call.Handler { return g.planeHandler() }

// Planes returns the registry of planes.
func (g *Gateway) Planes() *plane.Registry { return g.planes.Load() }

// Note adds a step to the journal.
func (g *Gateway) Note(m bridge.Moment) { g.journal.Note(m) }
