package gateway

import (
	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/auth"
)

// ConnectFed returns a connection of account FED with the rights of the bridge.
func (g *Gateway) ConnectFed() (*nats.Conn, error) {
	return g.node.Connect("test", g.credentials(auth.UserFed))
}
