package keptn

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// behind runs the world with the whole of Keptn in its control stamp, and its API
// behind the gateways: planes have nothing but the faces of their own stamp. The
// topology may be edited, and options changed.
func behind(t *testing.T, clock Clock, p Project, edit func(string) string, options ...func(*gateway.Options)) (*fed.Fed, *ControlPlane, *resources) {
	t.Helper()
	c := &ControlPlane{Internal: natstest.Addr(t), Public: natstest.Addr(t), Store: NewStore(clock, p)}
	files := newResources(t)
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	require.NoError(t, os.Mkdir(tokens, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keptn"), []byte(Token), 0o600))
	for _, name := range []string{"helm", "sdk", "script"} {
		require.NoError(t, os.WriteFile(filepath.Join(tokens, name), []byte(tokenOf(name)), 0o600))
	}
	const without = "{name: keptn, stamp: control}"
	require.Contains(t, world, without)
	text := strings.Replace(world, without, fmt.Sprintf(
		"{name: keptn, stamp: control, api: {url: %q, services: {shipyard-controller: %q, resource-service: %q}}}", c.Endpoint(), "http://"+c.Internal, "http://"+files.addr), 1)
	if edit != nil {
		text = edit(text)
	}
	f := fed.New(t, text, append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Rest.Tokens = tokens
		o.Planes.Refresh, o.Planes.Lease, o.Planes.Grace = 100*time.Millisecond, 2*time.Second, time.Second
		o.Planes.Behalf, o.Planes.Announce = 200*time.Millisecond, 300*time.Millisecond
		if o.Stamp == "control" {
			o.Targets = map[string]gateway.TargetFiles{"keptn-keptn": {Credentials: map[string]string{"x-token": filepath.Join(dir, "keptn")}}}
		}
	}}, options...)...)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	c.NATS = f.Stamp("control").URL()
	Start(t, c)
	return f, c, files
}

// tokenOf returns what a plane shows to the gateway of its stamp.
func tokenOf(plane string) string { return "token of " + plane }

// A site is where the planes of a stamp find Keptn.
type site struct {
	f     *fed.Fed
	stamp topology.StampID
	clock Clock
	face  string // host:port of HTTP
}

func siteOf(f *fed.Fed, stamp topology.StampID, clock Clock) site {
	return site{f, stamp, clock, strings.TrimPrefix(f.Stamp(stamp).RESTURL(), "http://")}
}

// endpoint is KEPTN_API_ENDPOINT for a plane.
func (s site) endpoint(plane string) string { return "http://" + s.face + "/p/" + plane + "/api" }

// distributor is a pod with a distributor that does a task by NATS, in the queue
// group that every stamp has.
func (s site) distributor(task string) *Pod {
	return &Pod{Service: "helm-service", Distributor: Distributor{
		Clock: s.clock, Hosts: InCluster(s.face), PubSubURL: s.f.Stamp(s.stamp).URL(), PubSubTopic: topic(task), PubSubGroup: "helm-service",
		Name: "helm-service", Namespace: "keptn-exec",
	}}
}

// sdk is a service made with go-sdk that does a task by NATS.
func (s site) sdk(task string) *SDK {
	return &SDK{
		Clock: s.clock, Hosts: InCluster(s.face), EventBroker: s.f.Stamp(s.stamp).URL(), Name: "sdk-service", Namespace: "keptn-exec", Node: "node-1",
		PubSubTopic: topic(task), Handler: whole(nil),
	}
}

// remoteDistributor is distributor by HTTP alone.
func (s site) remoteDistributor(task string) *Pod {
	return &Pod{Service: "far-service", Distributor: Distributor{
		Clock: s.clock, APIEndpoint: s.endpoint("helm"), APIToken: tokenOf("helm"), PubSubTopic: topic(task), Name: "far-service", Namespace: "keptn-exec",
	}}
}

// remoteSDK is sdk by HTTP alone.
func (s site) remoteSDK(task string) *SDK {
	return &SDK{
		Clock: s.clock, APIEndpoint: s.endpoint("sdk"), APIToken: tokenOf("sdk"), Name: "far-sdk-service", Namespace: "keptn-exec", Node: "node-1",
		PubSubTopic: topic(task), Handler: whole(nil),
	}
}

// topic returns the type that starts a task.
func topic(task string) string { return prefix + task + "." + kindTrig }

// whole is a Handler that answers with what says where the task is, after work.
func whole(work func(context.Context, Event)) func(context.Context, Event) map[string]any {
	return func(ctx context.Context, e Event) map[string]any {
		if work != nil {
			work(ctx, e)
		}
		d := must2(e.Of())
		return map[string]any{"project": d.Project, "stage": d.Stage, "service": d.Service}
	}
}

// perStage counts events by their stage.
func perStage(all []Event) map[string]int {
	out := map[string]int{}
	for _, e := range all {
		out[must2(e.Of()).Stage]++
	}
	return out
}

// shown returns what the Bridge shows, by namespace and name.
func shown(t testing.TB, c *ControlPlane) map[string]Integration {
	t.Helper()
	status, text := call(t, c, http.MethodGet, registration, "")
	require.Equal(t, http.StatusOK, status)
	var all []Integration
	require.NoError(t, json.Unmarshal([]byte(text), &all))
	out := map[string]Integration{}
	for _, i := range all {
		out[i.Metadata.Kubernetes.Namespace+"/"+i.Name] = i
	}
	require.Len(t, out, len(all), "two of one name: %v", all)
	return out
}

// lives fails the test if a process ends within d.
func lives(t testing.TB, d time.Duration, all ...*Process) {
	t.Helper()
	over := time.NewTimer(d)
	defer over.Stop()
	ended := make(chan struct{}, len(all))
	stop := make(chan struct{})
	defer close(stop)
	for _, p := range all {
		go func() {
			select {
			case <-p.Exited():
				ended <- struct{}{}
			case <-stop:
			}
		}()
	}
	select {
	case <-ended:
	case <-over.C:
	}
	for _, p := range all {
		p.Alive(t)
	}
}

// slow returns the clock of a control plane that is patient: a second of it takes
// d, or 200 ms.
func slow(d time.Duration) Clock { return Clock{Second: cmp.Or(d, 200*time.Millisecond)} }
