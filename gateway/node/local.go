package node

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// local returns the options of the local server.
func (p *plan) local() (*server.Options, error) {
	o, err := p.common(p.localName(), localAccounts())
	if err != nil {
		return nil, err
	}
	o.Host, o.Port = p.at.clients.host, p.at.clients.port
	o.DefaultSentinel = p.creds.Sentinel
	p.jetStream(o)
	if err := p.routes(o); err != nil {
		return nil, err
	}
	if o.LeafNode.Remotes, err = p.remotes(); err != nil {
		return nil, err
	}
	// The server wants both, and the pause before clients are closed shorter
	// than the whole. They are unused if LameDuck is 0.
	o.LameDuckDuration = max(p.cfg.LameDuck, time.Second)
	o.LameDuckGracePeriod = o.LameDuckDuration / 4
	return o, nil
}
