package gateway

import "github.com/ringway/ringway/bridge/call"

// PollHandler returns what answers planes that poll.
func (g *Gateway) PollHandler() call.Handler { return g.pollHandler() }
