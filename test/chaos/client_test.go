package chaos_test

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// A client is a plain NATS client of one stamp that does not let go of an event
// before the server has it. What a publisher itself loses is not the subject
// here. It is safe for concurrent use.
type client struct {
	stamp, name string
	j           *journal
	nc          *nats.Conn
	mu          sync.Mutex // one publish at a time: the journal's order is the wire's
}

func connect(t testing.TB, url, stamp, name string, j *journal) *client {
	t.Helper()
	nc, err := nats.Connect(url, nats.Name(name), nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.ReconnectJitter(0, 0), natstest.OneConnection())
	require.NoError(t, err)
	return &client{stamp: stamp, name: name, j: j, nc: nc}
}

// publish notes and sends an event, again if the connection was lost meanwhile:
// the same event with the same id.
func (c *client) publish(subject string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.j.sent(c.stamp, c.name, subject, body)
	c.send(nats.Header{}, subject, body)
}

func (c *client) send(h nats.Header, subject string, body []byte) {
	for !c.nc.IsClosed() {
		before := c.nc.Stats().Reconnects
		connected := c.nc.IsConnected()
		m := &nats.Msg{Subject: subject, Data: body, Header: h}
		if connected && c.nc.PublishMsg(m) == nil && c.nc.FlushTimeout(2*time.Second) == nil && c.nc.Stats().Reconnects == before {
			return
		}
		wait := time.NewTimer(10 * time.Millisecond)
		<-wait.C
	}
}
