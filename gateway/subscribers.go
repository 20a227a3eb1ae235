package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge/inbox"
)

// pendingQuestion is the subject, in account RELAY, on which the active replica
// asks the others who subscribes to a subject at them, and what they have
// pending. It is followed by the name of the one that is asked.
const pendingQuestion = "lead.pending."

// pendingWait is how long the others are waited for. One that says nothing
// counts with what it said last.
const pendingWait = 20 * time.Millisecond

// A census knows the clients of all replicas of a stamp that subscribe to a
// subject. It is safe for concurrent use.
type census struct {
	g     *Gateway
	relay *nats.Conn

	mu   sync.Mutex                  // guards the following field
	last map[[2]string]pendingAnswer // by replica's server and subject
}

// A pendingAnswer is what one replica says.
type pendingAnswer struct {
	Server      string             `json:"server"`
	Subscribers []inbox.Subscriber `json:"subscribers"`
}

// here returns the subscribers at this replica.
func (g *Gateway) here(subject string) []inbox.Subscriber {
	all := g.node.Subscribers(subject)
	out := make([]inbox.Subscriber, len(all))
	for i, s := range all {
		out[i] = inbox.Subscriber(s)
	}
	return out
}

// answerPending tells the active replica about the clients of this one, until
// ctx ends.
func (g *Gateway) answerPending(ctx context.Context, ready func(), relay *nats.Conn) error {
	sub, err := relay.Subscribe(pendingQuestion+g.node.Replicas().Server, func(m *nats.Msg) {
		b, err := json.Marshal(pendingAnswer{Server: g.node.Replicas().Server, Subscribers: g.here(string(m.Data))})
		if err == nil {
			err = m.Respond(b)
		}
		if err != nil {
			g.log.Debug("replica not answered, it will ask again", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe questions of replicas: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	ready()
	<-ctx.Done()
	return nil
}

// newCensus returns a census that asks over relay.
func (g *Gateway) newCensus(relay *nats.Conn) *census {
	return &census{g: g, relay: relay, last: map[[2]string]pendingAnswer{}}
}

// of returns who subscribes to subject at any replica.
func (c *census) of(subject string) []inbox.Subscriber {
	out := c.g.here(subject)
	peers := c.g.node.Replicas().Peers
	if len(peers) == 0 {
		return out
	}
	answers := c.ask(subject, peers)
	for server, a := range answers {
		for _, s := range a.Subscribers {
			out = append(out, inbox.Subscriber{ID: s.ID ^ hashOf(server), Pending: s.Pending})
		}
	}
	return out
}

// ask returns what each of peers says now, or said last.
func (c *census) ask(subject string, peers []string) map[string]pendingAnswer {
	reply := c.relay.NewRespInbox()
	sub, err := c.relay.SubscribeSync(reply)
	if err == nil {
		for _, p := range peers {
			_ = c.relay.PublishMsg(&nats.Msg{Subject: pendingQuestion + p, Reply: reply, Data: []byte(subject)}) // silence is an answer
		}
		defer func() { _ = sub.Unsubscribe() }()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for deadline, n := time.Now().Add(pendingWait), 0; err == nil && n < len(peers); n++ {
		var m *nats.Msg
		if m, err = sub.NextMsg(time.Until(deadline)); err != nil {
			break
		}
		var a pendingAnswer
		if json.Unmarshal(m.Data, &a) == nil {
			c.last[[2]string{a.Server, subject}] = a
		}
	}
	out := map[string]pendingAnswer{}
	for k, a := range c.last {
		switch {
		case !slices.Contains(peers, k[0]):
			delete(c.last, k) // gone, and its clients with it
		case k[1] == subject:
			out[k[0]] = a
		}
	}
	return out
}

// hashOf tells the connections of one server from those of another.
func hashOf(server string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(server)) // never fails
	return h.Sum64()
}
