package e2e_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
	standin "github.com/ringway/ringway/test/keptn"
)

// A service leads every connection to one of several addresses where somebody
// listens, in turn, as a Service of Kubernetes does.
type service struct {
	addr string
	to   []string

	turn atomic.Int64
	wg   sync.WaitGroup
	mu   sync.Mutex // guards open
	open map[net.Conn]bool
}

func newService(t *testing.T, to ...string) *service {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &service{addr: l.Addr().String(), to: to, open: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.relay(in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for c := range s.open {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// dial connects to the next address that takes it.
func (s *service) dial() net.Conn {
	for range s.to {
		if c, err := net.DialTimeout("tcp", s.to[int(s.turn.Add(1))%len(s.to)], time.Second); err == nil {
			return c
		}
	}
	return nil
}

func (s *service) relay(in net.Conn) {
	defer in.Close()
	out := s.dial()
	if out == nil {
		return
	}
	defer out.Close()
	s.mu.Lock()
	s.open[in], s.open[out] = true, true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, in)
		delete(s.open, out)
	}()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
	both.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
	both.Wait()
}

// poller is what the crew's edge is told: HTTP for its clients, and where Keptn's
// API is.
func (c *crew) poller(api string) (*service, *standin.ControlPlane) {
	c.t.Helper()
	k := &standin.ControlPlane{
		Internal: natstest.Addr(c.t), Public: natstest.Addr(c.t), NATS: "nats://" + c.control.client,
		Store: standin.NewStore(standin.Clock{Second: 200 * time.Millisecond}, standin.Project{Name: "sockshop", Stages: []standin.Stage{
			{Name: "dev", Tasks: []string{"deployment", "test"}},
		}}),
	}
	edit := func(p *process, file, old, is string) {
		path := filepath.Join(p.dir, file)
		b, err := os.ReadFile(path) //nolint:gosec // of the test
		require.NoError(c.t, err)
		require.Contains(c.t, string(b), old)
		require.NoError(c.t, os.WriteFile(path, []byte(strings.Replace(string(b), old, is, 1)), 0o600)) //nolint:gosec // of the test
	}
	var at []string
	for _, p := range append([]*process{c.control}, c.edge...) {
		edit(p, "topology.yaml", "{name: keptn, stamp: control}", fmt.Sprintf(api, "http://"+k.Internal))
		if p != c.control {
			at = append(at, natstest.Addr(c.t))
			edit(p, "gateway.yaml", "rest: off", fmt.Sprintf("rest: %q", at[len(at)-1]))
			edit(p, "gateway.yaml", "stopGrace: 5s\n", "stopGrace: 5s\nrest: {anonymous: true}\nplanes: {refresh: 200ms}\n")
		}
	}
	return newService(c.t, at...), k
}

// TestReplicasServePlanesThatPoll: planes that speak HTTP alone are served by the
// three replicas of their stamp. The one that moves events is killed in the middle
// of some sequences, comes back, and then the next one is. Nothing is lost or done
// twice, and no client ends.
func TestReplicasServePlanesThatPoll(t *testing.T) {
	t.Parallel()
	c := prepareCrew(t, newBinary(t), 3)
	rest, k := c.poller("{name: keptn, stamp: control, api: {services: {shipyard-controller: %q}}}")
	c.start()
	c.whole()
	standin.Start(t, k)
	clock := standin.Clock{Second: 50 * time.Millisecond}
	far := &standin.Pod{Service: "far-service", Distributor: standin.Distributor{
		Clock: clock, APIEndpoint: "http://" + rest.addr + "/p/far/api", PubSubTopic: "sh.keptn.event.deployment.triggered",
		Name: "far-service", Namespace: "keptn-exec",
	}}
	sdk := &standin.SDK{
		Clock: clock, APIEndpoint: "http://" + rest.addr + "/p/sdk/api", PubSubTopic: "sh.keptn.event.test.triggered",
		Name: "sdk-service", Namespace: "keptn-exec", Node: "node-1",
	}
	runs := []*standin.Process{standin.Start(t, far), standin.Start(t, sdk)}
	n := 0
	var all []string
	post := func(count int) {
		for range count {
			n++
			all = append(all, k.Post(t, standin.Trigger("sockshop", "dev", fmt.Sprint("carts-", n), "delivery", nil)))
		}
	}
	done := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool {
			got := 0
			for _, s := range k.Store.Sequences() {
				if s.State == standin.Finished {
					got++
				}
			}
			return got >= want
		}, 3*fed.Patience, 5*time.Millisecond, "%v", k.Store.Sequences())
	}
	post(3)
	done(3)
	for range 2 {
		post(10)
		done(n - 7)
		gone := c.edge[c.active()]
		gone.kill()
		post(5)
		done(n)
		gone.start()
		c.whole()
	}
	for _, shkeptncontext := range all {
		for _, s := range k.Ended(t, shkeptncontext) {
			require.Equal(t, "pass", s.Result, s.String())
			require.Len(t, s.Tasks, 2)
			for _, task := range s.Tasks {
				require.Len(t, task.Started, 1, s.String())
				require.Len(t, task.Finished, 1, s.String())
			}
		}
	}
	require.Empty(t, k.Store.Late())
	require.Len(t, far.Received(), n)
	require.Len(t, sdk.Received(), n)
	for _, p := range runs {
		p.Alive(t)
	}
	require.Len(t, k.Store.Integrations(), 2)
}
