package node

import (
	"github.com/nats-io/nats-server/v2/server"
)

// A Client is a connection of a client of the stamp, with what it subscribes to.
type Client struct {
	Addr string // host that it comes from
	Name string // that it gives itself
	Subs []Sub
}

// A Sub is a subscription of a Client.
type Sub struct{ Subject, Queue string }

// Clients returns the clients that are connected to this replica in account APP.
// It looks at all connections, which costs some microseconds each. It is nil
// while the Node does not run.
func (n *Node) Clients() []Client {
	e := n.running()
	if e == nil {
		return nil
	}
	var out []Client
	for offset := 0; ; {
		c, err := e.Connz(&server.ConnzOptions{Account: n.current().creds.key(APP), SubscriptionsDetail: true, Offset: offset, Limit: pageOfClients})
		if err != nil || len(c.Conns) == 0 {
			return out
		}
		for _, conn := range c.Conns {
			is := Client{Addr: conn.IP, Name: conn.Name}
			for _, s := range conn.SubsDetail {
				is.Subs = append(is.Subs, Sub{s.Subject, s.Queue})
			}
			out = append(out, is)
		}
		if offset += len(c.Conns); offset >= c.Total {
			return out
		}
	}
}

// pageOfClients is how many connections the server is asked for at once.
const pageOfClients = 1024
