package node

import "github.com/nats-io/nats-server/v2/server"

// link returns the options of the link server. Only hubs have one.
func (p *plan) link() (*server.Options, error) {
	o, err := p.common(p.linkServerName(), linkAccounts())
	if err != nil {
		return nil, err
	}
	// Nobody connects here, but a server without a client port does not shut
	// down in order.
	o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
	if err := p.gateways(o); err != nil {
		return nil, err
	}
	if err := p.linkRoutes(o); err != nil {
		return nil, err
	}
	p.leafListener(o)
	p.webSocket(o)
	return o, nil
}
