package node

import (
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A Subscriber is one connection to the local server, of a client or of an
// external NATS, that subscribes to a subject in account APP.
type Subscriber struct {
	ID      uint64 // of the connection; never used twice
	Pending int    // bytes that the server has for it and has not written to its socket
}

// relookAfter is how long it is taken for granted who subscribes to a subject.
// A look at all connections of the account costs some microseconds each.
const relookAfter = 200 * time.Millisecond

// subscribers remembers who subscribes to what. It is safe for concurrent use.
type subscribers struct {
	mu    sync.Mutex
	known map[string]*subscription
}

// A subscription is who subscribed to a subject at a time.
type subscription struct {
	at  time.Time
	ids []uint64
}

// Subscribers returns who subscribes to subject at this replica, with what each
// has pending now. It is nil while the Node does not run.
func (n *Node) Subscribers(subject string) []Subscriber {
	e := n.running()
	if e == nil {
		return nil
	}
	app := n.current().creds.key(APP)
	out := make([]Subscriber, 0, 4)
	for _, id := range n.subs.of(e, app, subject) {
		c, err := e.Connz(&server.ConnzOptions{CID: id, Account: app})
		if err != nil {
			continue
		}
		for _, conn := range c.Conns {
			out = append(out, Subscriber{ID: conn.Cid, Pending: conn.Pending})
		}
	}
	return out
}

// of returns the connections that subscribe to subject.
func (s *subscribers) of(e *engine, account, subject string) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if k := s.known[subject]; k != nil && now.Sub(k.at) < relookAfter {
		return k.ids
	}
	c, err := e.Connz(&server.ConnzOptions{Account: account, FilterSubject: subject, Limit: maxSubscribers})
	if err != nil {
		return nil
	}
	k := &subscription{at: now}
	for _, conn := range c.Conns {
		k.ids = append(k.ids, conn.Cid)
	}
	if s.known == nil || len(s.known) > maxSubscribers {
		s.known = map[string]*subscription{}
	}
	s.known[subject] = k
	return k.ids
}

// maxSubscribers bounds what is remembered.
const maxSubscribers = 10_000
