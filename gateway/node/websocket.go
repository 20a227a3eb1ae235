package node

import "github.com/nats-io/nats-server/v2/server"

// webSocket lets leaf stamps in through port 443 and proxies. Its users are
// those of the leafnode listener; the connection types of their JWTs keep
// ordinary clients out.
func (p *plan) webSocket(o *server.Options) {
	if p.at.websocket.port == 0 {
		return
	}
	o.Websocket = server.WebsocketOpts{
		Host:             p.at.websocket.host,
		Port:             p.at.websocket.port,
		Advertise:        p.view.Me.Link.Advertise.WebSocket,
		TLSConfig:        p.tls.listen,
		HandshakeTimeout: writeDeadline,
	}
}
