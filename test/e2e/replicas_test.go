package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// tripled is world with three replicas of the control plane's stamp, and of one
// that gets its events.
var tripled = strings.NewReplacer(
	"  - name: control\n", "  - name: control\n    replicas: 3\n",
	"{name: tls, ", "{name: tls, replicas: 3, ",
).Replace(world)

func TestReplicasServeAsOne(t *testing.T) {
	f := fed.New(t, tripled)
	tap := f.Tap("tls", triggered, "")
	far := f.Tap("wss", triggered, "")
	keptn := f.Tap("control", finished, "")
	const n, contexts = 60, 5
	for i := range n {
		f.Publish("control", triggered, event(triggered, fmt.Sprint(i), "dev", fmt.Sprint(i%contexts)))
		f.Publish("control", triggered, event(triggered, fmt.Sprint(i), "far", fmt.Sprint(i%contexts)))
	}
	requireInOrder(t, tap.Bodies(n), n, contexts)
	requireInOrder(t, far.Bodies(n), n, contexts)
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
	mark(t, f, tap, "dev")
	f.StartReplica("control", active)
}
