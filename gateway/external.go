package gateway

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/topology"
)

const (
	// connzQuestion asks every server of a NATS for the connections of the
	// account that asks. Servers answer it to any user who may publish it.
	connzQuestion = "$SYS.REQ.ACCOUNT.PING.CONNZ"
	// serverGone is for how long a server that does not answer counts with what
	// it said last. To take its clients for gone at once would give their tasks
	// again.
	serverGone = 10 * time.Second
	// surveyEvery is how often answers are waited for to the end, so that a
	// server that is slower than those that are known is heard of.
	surveyEvery = 5 * time.Second
	// maxRemembered bounds of how many subjects is known what servers said.
	maxRemembered = 10_000
	// externalWait is how long is waited between two tries to connect.
	externalWait = 250 * time.Millisecond
	// maxExternal bounds the subscribers of one subject that are looked at.
	maxExternal = 1024
)

// A connzRequest asks for the connections that subscribe to a subject.
type connzRequest struct {
	FilterSubject string `json:"filter_subject"`
	Limit         int    `json:"limit"`
}

// A connzAnswer is what one server says: of its answer what is needed here.
type connzAnswer struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Data struct {
		Connections []struct {
			CID     uint64 `json:"cid"`
			Kind    string `json:"kind"`
			Pending int    `json:"pending_bytes"`
		} `json:"connections"`
	} `json:"data"`
}

// A clientele knows who subscribes to a subject at the NATS that a stamp had
// before. All of them share one leafnode connection to us, which the external
// server empties as fast as it can: only that server knows which of its clients is
// slow. It is safe for concurrent use.
type clientele struct {
	nc  *nats.Conn
	log *slog.Logger

	mu       sync.Mutex                       // guards the following fields
	heard    map[string]time.Time             // servers that answer, by id, and when they last did
	last     map[[2]string][]inbox.Subscriber // what a server said of a subject
	surveyed time.Time                        // when answers were last waited for to the end
	silent   bool                             // no server answers
}

// external returns the clientele of an external NATS, or nil where Ringway is the
// stamp's NATS itself. A server that cannot be reached is tried for ever.
func (g *Gateway) external() (*clientele, error) {
	f := g.force.Load()
	me := f.view.Me
	if me.Clients.Mode != topology.ClientsExternal {
		return nil, nil //nolint:nilnil // there is none
	}
	opts := []nats.Option{
		nats.Name("ringway " + string(me.ID)), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(externalWait), nats.ReconnectJitter(externalWait/4, externalWait/4), nats.ErrorHandler(g.asyncError),
	}
	if file := g.opts.ExternalCredentials; file != "" {
		opts = append(opts, nats.UserCredentials(file))
	}
	nc, err := nats.Connect(me.Clients.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect external NATS: %w", err)
	}
	return &clientele{nc: nc, log: g.log, heard: map[string]time.Time{}, last: map[[2]string][]inbox.Subscriber{}}, nil
}

// maxPayload returns how long a message the external NATS takes, in bytes; 0 if
// that is not known, or there is none.
func (c *clientele) maxPayload() int64 {
	if c == nil {
		return 0
	}
	return c.nc.MaxPayload()
}

func (c *clientele) close() {
	if c != nil {
		c.nc.Close()
	}
}

// behind returns what, and the clients of the external NATS that subscribe to
// subject. what are those at our servers: the leafnode connection.
func (c *clientele) behind(what []inbox.Subscriber, subject string) []inbox.Subscriber {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(c.ask(subject) == 0)
	for id, at := range c.heard {
		if time.Since(at) > serverGone {
			c.forget(id)
			continue
		}
		what = append(what, c.last[[2]string{id, subject}]...)
	}
	return what
}

// ask asks the servers, and returns how many have answered. The caller holds mu.
func (c *clientele) ask(subject string) int {
	question, err := json.Marshal(connzRequest{subject, maxExternal})
	if err != nil || !c.nc.IsConnected() {
		return 0
	}
	reply := c.nc.NewRespInbox()
	sub, err := c.nc.SubscribeSync(reply)
	if err != nil {
		return 0
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	if err := c.nc.PublishRequest(connzQuestion, reply, question); err != nil {
		return 0
	}
	now := time.Now()
	survey := now.Sub(c.surveyed) > surveyEvery
	answered := map[string]bool{}
	for survey || !c.complete(answered) {
		m, err := sub.NextMsg(time.Until(now.Add(pendingWait)))
		if err != nil {
			break
		}
		var a connzAnswer
		if json.Unmarshal(m.Data, &a) == nil && a.Server.ID != "" {
			answered[a.Server.ID] = true
			c.take(a, subject)
		}
	}
	if survey {
		c.surveyed = now
	}
	return len(answered)
}

// take remembers what a server says. The caller holds mu.
func (c *clientele) take(a connzAnswer, subject string) {
	var all []inbox.Subscriber
	for _, conn := range a.Data.Connections {
		if conn.Kind == "Client" {
			all = append(all, inbox.Subscriber{ID: conn.CID ^ hashOf(a.Server.ID), Pending: conn.Pending})
		}
	}
	if len(c.last) > maxRemembered {
		clear(c.last) // a custom route may have a subject a message
	}
	c.heard[a.Server.ID] = time.Now()
	c.last[[2]string{a.Server.ID, subject}] = all
}

// complete reports whether every server that is known has answered. The caller
// holds mu.
func (c *clientele) complete(answered map[string]bool) bool {
	for id := range c.heard {
		if !answered[id] {
			return false
		}
	}
	return len(c.heard) > 0
}

// forget drops what a server said. The caller holds mu.
func (c *clientele) forget(id string) {
	delete(c.heard, id)
	for k := range c.last {
		if k[0] == id {
			delete(c.last, k)
		}
	}
}

// tell logs that delivery is not paced, or is again. The caller holds mu.
func (c *clientele) tell(silent bool) {
	if silent == c.silent {
		return
	}
	c.silent = silent
	if silent {
		c.log.Warn("external NATS does not say what its clients have pending: delivery is not paced by them", "subject", connzQuestion)
	} else {
		c.log.Info("external NATS says what its clients have pending", "subject", connzQuestion)
	}
}
