package contrast_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

const (
	events  = 300
	subject = "sh.keptn.event.deployment.triggered"
	group   = "helm-service"     // as the integration names it
	end     = "contrast.the.end" // follows the events on the same way
	control = "control"          // the cluster that publishes
)

// body is an event as a Keptn 1.4 control plane publishes it.
const body = `{"specversion":"1.0","id":"%08d-2222-4333-8444-555555555555","source":"shipyard-controller",` +
	`"type":"sh.keptn.event.deployment.triggered","datacontenttype":"application/json","time":"2026-01-01T00:00:00.000Z",` +
	`"data":{"project":"sockshop","stage":"dev","service":"carts","labels":{"owner":"me"},"status":"","result":"","message":"",` +
	`"configurationChange":{"values":{"image":"carts:1.0"}},"deployment":{"deploymentstrategy":"direct"}},` +
	`"shkeptncontext":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee","shkeptnspecversion":"0.2.4"}`

// TestPlainSupercluster shows who gets the events of a control plane when the
// same integration runs in three other clusters of a plain supercluster.
func TestPlainSupercluster(t *testing.T) {
	t.Parallel()
	stamps := []string{"eu", "us", "apac"}
	for _, tc := range []struct {
		name  string
		in    []string // the clusters where the integration runs
		queue bool
		check func(t *testing.T, got map[string]int)
	}{
		{
			"a queue group in three stamps: one gets every event, the others none",
			stamps, true,
			func(t *testing.T, got map[string]int) { require.Equal(t, []int{0, 0, events}, sorted(got), "%v", got) },
		},
		{
			"no queue group: every stamp gets every event",
			stamps, false,
			func(t *testing.T, got map[string]int) {
				require.Equal(t, []int{events, events, events}, sorted(got), "%v", got)
			},
		},
		{
			"the same group beside the control plane: the stamps get none",
			append([]string{control}, stamps...), true,
			func(t *testing.T, got map[string]int) {
				require.Equal(t, map[string]int{control: events, "eu": 0, "us": 0, "apac": 0}, got)
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sc := start(t, append([]string{control}, stamps...)...)
			taps := map[string]chan *nats.Msg{}
			for _, name := range tc.in {
				taps[name] = sc.integration(t, name, tc.queue)
			}
			sc.await(t, control, end, tc.in) // each subscribed to it last
			sc.publish(t)
			got := map[string]int{}
			for name, tap := range taps {
				got[name] = count(t, tap)
			}
			tc.check(t, got)
		})
	}
}

// integration subscribes in one cluster as a Keptn integration does. The tap
// carries what it gets, in order, and then the message end.
func (sc supercluster) integration(t *testing.T, name string, queue bool) chan *nats.Msg {
	t.Helper()
	nc := sc.connect(t, name)
	tap := make(chan *nats.Msg, 2*events)
	var err error
	if queue {
		_, err = nc.ChanQueueSubscribe(subject, group, tap)
	} else {
		_, err = nc.ChanSubscribe(subject, tap)
	}
	require.NoError(t, err)
	_, err = nc.ChanSubscribe(end, tap)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return tap
}

// publish sends the events, and end after them, as one client beside the
// control plane.
func (sc supercluster) publish(t *testing.T) {
	t.Helper()
	nc := sc.connect(t, control)
	for i := range events {
		require.NoError(t, nc.Publish(subject, fmt.Appendf(nil, body, i)))
	}
	require.NoError(t, nc.Publish(end, nil))
	require.NoError(t, nc.Flush())
}

// count returns how many events came before end.
func count(t *testing.T, tap <-chan *nats.Msg) int {
	t.Helper()
	limit := time.After(long)
	for n := 0; ; n++ {
		select {
		case m := <-tap:
			if m.Subject == end {
				return n
			}
		case <-limit:
			require.FailNow(t, "the last message does not come")
		}
	}
}

func sorted(got map[string]int) []int {
	var all []int
	for _, n := range got {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}
