package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// tripled is world with three replicas of the control plane's stamp, and of one
// that gets its events.
var tripled = strings.NewReplacer(
	"  - name: control\n", "  - name: control\n    replicas: 3\n",
	"{name: tls, ", "{name: tls, replicas: 3, ",
).Replace(world)

// explain shows how the replicas of the stamps are, if the test fails.
func explain(t *testing.T, f *fed.Fed, stamps ...topology.StampID) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, id := range stamps {
			for i := range max(f.Stamp(id).Replicas, 1) {
				g := f.Replica(id, i).Gateway()
				if g == nil {
					continue
				}
				s, _ := json.Marshal(g.Status())
				t.Logf("%s %d: %s", id, i, s)
				resp, err := http.Get(g.AdminURL() + "/metrics")
				if err != nil {
					continue
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				for line := range strings.Lines(string(body)) {
					if strings.HasPrefix(line, "ringway_") && !strings.Contains(line, "_bucket") {
						t.Log(strings.TrimSpace(line))
					}
				}
			}
		}
	})
}

// publish sends an event over one connection and returns when its server has
// it.
func publish(t *testing.T, nc *nats.Conn, body []byte) {
	t.Helper()
	require.NoError(t, nc.Publish(triggered, body))
	require.NoError(t, nc.FlushTimeout(fed.Patience))
}

func TestReplicasServeAsOne(t *testing.T) {
	f := fed.New(t, tripled)
	explain(t, f, "control", "tls")
	tap := f.Tap("tls", triggered, "")
	keptn := f.Tap("control", finished, "")
	shipyard := f.Client("control")
	const n, contexts = 60, 5
	for i := range n {
		publish(t, shipyard, event(triggered, fmt.Sprint(i), "dev", fmt.Sprint(i%contexts)))
	}
	requireInOrder(t, tap.Bodies(n), n, contexts)
	mark(t, f, tap, "dev")
	body := event(finished, "1", "dev", "k")
	f.Publish("tls", finished, body)
	require.Equal(t, string(body), string(keptn.Next().Data))

	active := f.Active("control")
	before := time.Now()
	f.StopReplica("control", active)
	t.Logf("stopped in %v", time.Since(before))
	next := f.Active("control")
	require.NotEqual(t, active, next)
	t.Logf("handed over from %d to %d after %v", active, next, time.Since(before))
	body = event(triggered, "last", "dev", "last")
	f.Publish("control", triggered, body)
	require.Equal(t, string(body), string(tap.Next().Data))
}

// TestPlaneAtAnotherReplica: the active replica knows the clients of the others.
// A plane that ends before it has answered is missed, wherever it was.
func TestPlaneAtAnotherReplica(t *testing.T) {
	if beside(t) {
		return
	}
	f := fed.New(t, tripled)
	explain(t, f, "tls")
	standby := f.Replica("tls", (f.Active("tls")+1)%3).Gateway().ClientURL()
	at := func() *worker {
		nc, err := nats.Connect(standby)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		sub, err := nc.QueueSubscribeSync(triggered, "deployer")
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		return &worker{t: t, nc: nc, sub: sub, stamp: "tls"}
	}
	first := at()
	keptn := keptnOf{t, f.Tap("control", "sh.keptn.event.deployment.*", "")}
	ask(t, f, keptn, "1", "dev")
	first.take("1")
	first.answer(started, "1", "dev") // so it is a plane that answers
	require.Equal(t, "started tls", keptn.next())
	ask(t, f, keptn, "2", "dev")
	first.take("2")
	first.nc.Close()
	second := at()
	second.take("2")
}

// TestPlaneAtAReplicaThatStops: its connection ends before the replica does. What
// it had not answered comes before what is given to the next one.
func TestPlaneAtAReplicaThatStops(t *testing.T) {
	if beside(t) {
		return
	}
	f := fed.New(t, tripled)
	explain(t, f, "tls")
	active := f.Active("tls")
	gone := make(chan struct{})
	at := func(i int, opts ...nats.Option) *worker {
		nc, err := nats.Connect(f.Replica("tls", (active+i)%3).Gateway().ClientURL(), opts...)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		sub, err := nc.QueueSubscribeSync(triggered, "deployer")
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		return &worker{t: t, nc: nc, sub: sub, stamp: "tls"}
	}
	first := at(1, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	keptn := keptnOf{t, f.Tap("control", "sh.keptn.event.deployment.*", "")}
	ask(t, f, keptn, "1", "dev")
	first.take("1")
	first.answer(started, "1", "dev") // so it is a plane that answers
	require.Equal(t, "started tls", keptn.next())
	f.Publish("control", triggered, event(triggered, "2", "dev", "k"))
	first.take("2")
	stopped := make(chan error, 1)
	go func() { stopped <- f.Replica("tls", (active+1)%3).Stop() }()
	<-gone
	second := at(2)
	f.Publish("control", triggered, event(triggered, "3", "dev", "k"))
	second.take("2")
	second.take("3")
	require.NoError(t, <-stopped)
}
