package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/takeover"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// A keptnNATS is the NATS of a control plane that was there before, and the two
// cables to it.
type keptnNATS struct {
	*natstest.Server
	js           jetstream.JetStream
	nc           *nats.Conn
	client, leaf *cable
}

func newKeptnNATS(t *testing.T, edit func(*server.Options)) *keptnNATS {
	t.Helper()
	ext, leaf := externalNATS(t, func(o *server.Options) {
		o.LeafNode.NoAdvertise = true // or it is dialled past the cable
		edit(o)
	})
	k := &keptnNATS{Server: ext, nc: ext.Connect(), leaf: newCable(t, leaf)}
	u, err := url.Parse(ext.URL())
	require.NoError(t, err)
	k.client = newCable(t, u.Host)
	k.js, err = jetstream.New(k.nc)
	require.NoError(t, err)
	return k
}

// stream makes Keptn's stream, as shipyard-controller does.
func (k *keptnNATS) stream(t *testing.T) {
	t.Helper()
	_, err := k.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}})
	require.NoError(t, err)
}

// world is the world in which stamp control has that NATS, and replicas.
func (k *keptnNATS) world(replicas int) string {
	return strings.Replace(world, "    roles: [control]\n", fmt.Sprintf(
		"    roles: [control]\n    replicas: %d\n    clients: {mode: external, url: \"nats://%s\", leafnode: \"nats-leaf://%s\"}\n",
		replicas, k.client.addr, k.leaf.addr), 1)
}

// publish publishes the tasks from first to before last, in turn in some
// contexts.
func (k *keptnNATS) publish(t *testing.T, first, last, contexts int) {
	t.Helper()
	for i := first; i < last; i++ {
		publish(t, k.nc, event(triggered, fmt.Sprint(i), "dev", fmt.Sprint(i%contexts)))
	}
}

// publishing goes on publishing until the function it returns is called, which
// returns where it has ended.
func (k *keptnNATS) publishing(t *testing.T, first, contexts int) (stop func() int) {
	t.Helper()
	done := make(chan struct{})
	last := first
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = k.nc.Publish(triggered, event(triggered, fmt.Sprint(last), "dev", fmt.Sprint(last%contexts)))
				last++
			}
		}
	})
	return func() int { close(done); wg.Wait(); return last }
}

// taken waits until the control stamp follows the stream and returns how it is.
func taken(t *testing.T, f *fed.Fed) takeover.State {
	t.Helper()
	var s takeover.State
	require.Eventually(t, func() bool {
		r := f.Stamp("control").Active()
		if r == nil || r.Gateway() == nil {
			return false
		}
		st := r.Gateway().Status().Takeover
		if st != nil {
			s = *st
		}
		return st != nil && st.Following
	}, fed.Patience, 5*time.Millisecond)
	return s
}

// unlinked waits until no replica of the control stamp has its leafnode.
func (k *keptnNATS) unlinked(t *testing.T, f *fed.Fed) {
	t.Helper()
	require.Eventually(t, func() bool {
		for i := range max(f.Stamp("control").Replicas, 1) {
			for _, l := range f.Replica("control", i).Gateway().Status().Links {
				if l.Kind == "external" && l.Up {
					return false
				}
			}
		}
		return true
	}, fed.Patience, 5*time.Millisecond)
}

// TestPublishedWhileAway: what shipyard-controller publishes in its own NATS while
// our gateway is stopped, or cannot be reached, arrives when it is back: once, in
// order, also where more is published meanwhile; and what we delivered there is
// not taken for it.
func TestPublishedWhileAway(t *testing.T) {
	if beside(t) {
		return
	}
	for _, replicas := range []int{1, 3} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			k := newKeptnNATS(t, func(*server.Options) {})
			k.stream(t)
			f := fed.New(t, k.world(replicas))
			explain(t, f, "control", "tls")
			tap := f.Tap("tls", triggered, "")
			const contexts = 5
			require.Zero(t, taken(t, f).Taken)
			k.publish(t, 0, 20, contexts)
			all := tap.Bodies(20)
			f.Publish("tls", finished, event(finished, "1", "dev", "1")) // ours, in the stream
			require.Eventually(t, func() bool {
				s, err := k.js.Stream(t.Context(), "keptn")
				return err == nil && s.CachedInfo().State.Msgs == 21
			}, fed.Patience, 5*time.Millisecond)

			f.Stop("control")
			k.publish(t, 20, 60, contexts)
			stop := k.publishing(t, 60, contexts)
			f.Restart("control")
			f.Linked()
			taken(t, f)
			all = append(all, tap.Bodies(60)...)
			n := stop()

			for _, cut := range [][]*cable{{k.leaf}, {k.leaf, k.client}} {
				for _, c := range cut {
					c.set(true)
				}
				k.unlinked(t, f)
				k.publish(t, n, n+40, contexts)
				stop = k.publishing(t, n+40, contexts)
				for _, c := range cut {
					c.set(false)
				}
				f.Linked()
				all = append(all, tap.Bodies(n+60-len(all))...)
				n = stop()
			}
			all = append(all, tap.Bodies(n-len(all))...)
			requireInOrder(t, all, n, contexts)
			require.NotZero(t, taken(t, f).Taken)
			publish(t, k.nc, event(triggered, "end", "dev", "end"))
			require.Contains(t, string(tap.Next().Data), `"end"`)
		})
	}
}
