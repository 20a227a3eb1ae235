package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

// reachQuestion is the subject, in account RELAY, on which replicas ask each
// other whether they reach a third one. The server that is asked follows, and
// the body is that of the third.
const reachQuestion = "lead.reach."

// reachWait is how long the others are waited for.
const reachWait = 100 * time.Millisecond

// The answers to a reachQuestion.
const (
	reached    = "reached"
	notReached = "not reached"
)

// answerReach tells other replicas whom this one reaches, until ctx ends.
func (g *Gateway) answerReach(ctx context.Context, ready func(), relay *nats.Conn) error {
	sub, err := relay.Subscribe(reachQuestion+g.node.Replicas().Server, func(m *nats.Msg) {
		answer := notReached
		if r := g.node.Replicas(); string(m.Data) == r.Server || slices.Contains(r.Peers, string(m.Data)) {
			answer = reached
		}
		if err := m.Respond([]byte(answer)); err != nil {
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

// unreached reports whether a replica is sure to reach no majority: this one and
// enough others have no route to it.
func (g *Gateway) unreached(ctx context.Context, relay *nats.Conn, name string) bool {
	r := g.node.Replicas()
	server := g.node.ReplicaServer(name)
	if name == "" || slices.Contains(r.Peers, server) || 2*r.Reached <= r.Want {
		return false
	}
	inbox := relay.NewRespInbox()
	sub, err := relay.SubscribeSync(inbox)
	if err != nil {
		return false
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	for _, p := range r.Peers {
		_ = relay.PublishMsg(&nats.Msg{Subject: reachQuestion + p, Reply: inbox, Data: []byte(server)}) // silence is an answer
	}
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	without := 1
	for range r.Peers {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			break
		}
		if string(m.Data) == notReached {
			without++
		}
	}
	return 2*without > r.Want
}
