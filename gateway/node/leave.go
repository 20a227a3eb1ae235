package node

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// leave asks the clients to go elsewhere and ends the server.
//
// The server's own lame duck mode closes the streams first and answers clients
// for some time after: what they publish then is lost although the server
// confirmed to have it. So this tells the clients, closes them, sees that what
// they sent is stored, and only then closes the streams. One of a cluster hands
// over what it leads before that, which lame duck mode does.
func (e *engine) leave() {
	e.dismiss()
	if e.NumRoutes() > 0 {
		e.LameDuckShutdown()
	}
	e.stop()
}

// dismissal bounds the wait until what clients sent is stored.
const dismissal = 2 * time.Second

// dismiss closes the clients and waits until the streams have taken in what
// they sent.
func (e *engine) dismiss() {
	limit := time.NewTimer(dismissal)
	defer limit.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for e.closeClients() > 0 || e.ingesting() {
		select {
		case <-look.C:
		case <-limit.C:
			return
		}
	}
}

// closeClients says good-bye to every client, as lame duck mode does, and
// returns how many there were.
func (e *engine) closeClients() int {
	conns, err := e.Connz(&server.ConnzOptions{Limit: 1 << 20})
	if err != nil {
		return 0
	}
	for _, c := range conns.Conns {
		// A client that is too old for the word, or gone already, needs none.
		_ = e.LDMClientByID(c.Cid)
		_ = e.DisconnectClientByID(c.Cid)
	}
	return len(conns.Conns)
}

// ingesting reports whether a stream has messages that it has not stored yet.
func (e *engine) ingesting() bool {
	for _, q := range *e.Ipqueuesz(&server.IpqueueszOptions{Filter: " messages"}) {
		if q.Pending > 0 || q.InProgress > 0 {
			return true
		}
	}
	return false
}
