package node

import (
	"fmt"
	"net"
)

// ClientURL is where this machine's clients connect, as nats://host:port. It
// is empty before the Node is ready.
func (n *Node) ClientURL() string {
	return n.at("nats://", func(a addresses) address { return a.clients })
}

// GatewayAddr is the host:port for other hubs; empty in a leaf stamp.
func (n *Node) GatewayAddr() string { return n.at("", func(a addresses) address { return a.gateway }) }

// LeafnodeURL is where leaf stamps connect over TLS, as nats-leaf://host:port;
// empty in a leaf stamp.
func (n *Node) LeafnodeURL() string {
	return n.at("nats-leaf://", func(a addresses) address { return a.leafnode })
}

// WebsocketURL is where leaf stamps connect over WebSocket, as
// wss://host:port; empty if there is no such listener.
func (n *Node) WebsocketURL() string {
	return n.at("wss://", func(a addresses) address { return a.websocket })
}

func (n *Node) at(scheme string, which func(addresses) address) string {
	a := which(n.current().at)
	if a.port <= 0 {
		return ""
	}
	return scheme + a.reach()
}

// bound returns want with the ports that the link server listens on.
func (e *engine) bound(want addresses) (addresses, error) {
	v, err := e.Varz(nil)
	if err != nil {
		return want, fmt.Errorf("read ports of link server: %w", err)
	}
	want.gateway.port = portOf(e.GatewayAddr())
	want.leafnode.port = v.LeafNode.Port
	want.websocket.port = v.Websocket.Port
	if a := e.ClusterAddr(); a != nil {
		want.linkRoutes.port = a.Port
	}
	return want, nil
}

func portOf(a net.Addr) int {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}
