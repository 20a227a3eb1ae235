package natstest

import (
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// OneConnection is for clients whose server may end before they do. nats.go
// forgets a connection that broke before the server had said who it is, and
// leaves its closing to the collector (1.55, doReconnect), which does not come
// as long as somebody refers to the client. With this option the client closes
// it when it dials again.
func OneConnection() nats.Option { return nats.SetCustomDialer(&dialer{}) }

// A dialer closes what it dialled before. It is safe for concurrent use.
type dialer struct {
	mu   sync.Mutex // guards last
	last net.Conn
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		_ = d.last.Close() // closed already as a rule
		d.last = nil
	}
	c, err := net.DialTimeout(network, address, 2*time.Second)
	if err == nil {
		d.last = c
	}
	return c, err
}
