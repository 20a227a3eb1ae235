package demo

import (
	"context"
	"time"
)

// A Federation is what a Show runs on. Its methods are safe for concurrent
// use.
type Federation interface {
	// Stamps returns every stamp, in the order of the topology.
	Stamps() []StampInfo
	// Links returns the state of every link between stamps now.
	Links() []LinkInfo
	// Route returns the stamps that must get an event which a client of stamp
	// from publishes, by the federation's own router: each of them, or any one.
	Route(from string, event []byte) (to []string, anyOne bool)
	// Cut cuts every link of stamp until Heal.
	Cut(stamp string) error
	Heal(stamp string) error
	// Stop ends the federation and returns when nothing of it is left.
	Stop(ctx context.Context) error
}

// A StampInfo describes one stamp.
type StampInfo struct {
	Name      string `json:"name"`
	Geo       string `json:"geo"`
	Ring      string `json:"ring"`
	Link      string `json:"link"`  // hub, leaf tls, leaf wss
	URL       string `json:"url"`   // of its NATS, for clients
	REST      string `json:"rest"`  // the same for HTTP
	Admin     string `json:"admin"` // where the gateway is asked how it is
	Control   bool   `json:"control"`
	Execution bool   `json:"execution"`
	Waiting   int    `json:"-"` // events that wait in it now, to leave or to be delivered
}

// A LinkInfo is the state of one link.
type LinkInfo struct {
	From string // the stamp that dials
	To   string // the hub
	Kind string // gateway, leaf tls, leaf wss
	Up   bool
	RTT  time.Duration // 0 if not measured
}
