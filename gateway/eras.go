package gateway

import (
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
)

// eras has what is under way at a restart routed by the topology that was in
// force before.
type eras struct{ g *Gateway }

// Of implements outbox.Eras.
func (e eras) Of(r *bridge.Router) (outbox.Era, bool) {
	f := e.g.force.Load()
	if f.view.Hash != r.Hash() {
		return outbox.Era{}, false // another one came in force meanwhile, and is asked for next
	}
	return outbox.Era{Hash: f.view.Hash, Document: f.document, Since: f.since}, true
}

// Router implements outbox.Eras.
func (e eras) Router(was outbox.Era) (*bridge.Router, error) {
	view, err := compile(e.g.opts, was.Document)
	if err != nil {
		return nil, err
	}
	return bridge.NewRouter(view), nil
}
