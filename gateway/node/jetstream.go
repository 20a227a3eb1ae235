package node

import "github.com/nats-io/nats-server/v2/server"

// jetStream turns JetStream on. Its domain is the stamp's name, so that the
// API of each stamp stays its own whatever the links do.
func (p *plan) jetStream(o *server.Options) {
	o.JetStream = true
	o.JetStreamDomain = string(p.view.Me.ID)
	o.StoreDir = p.cfg.Dir
	o.SyncInterval = p.cfg.SyncInterval
	o.JetStreamMaxStore = p.cfg.MaxStore
	o.JetStreamMaxMemory = p.cfg.MaxMemory
}
