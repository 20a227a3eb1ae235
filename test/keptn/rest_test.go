package keptn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// TestAPIAcrossStamps: a plane that finds Keptn's services by their names in its
// own cluster, and one that knows a public API, do their tasks in stamps that
// reach Keptn's API through their gateways alone. Only the gateway of the control
// plane has its token.
func TestAPIAcrossStamps(t *testing.T) {
	c := &ControlPlane{Internal: natstest.Addr(t), Public: natstest.Addr(t), Store: NewStore(Clock{Second: 200 * time.Millisecond}, shop())}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tokens"), 0o700))
	for name, token := range map[string]string{"keptn": Token, "tokens/helm": "token of the stamp"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(token), 0o600))
	}
	const without = "controlPlanes: [{name: keptn, stamp: control}]"
	require.Contains(t, world, without)
	f := fed.New(t, strings.Replace(world, without, fmt.Sprintf(
		"controlPlanes: [{name: keptn, stamp: control, api: {url: %q, services: {shipyard-controller: %q}}}]", c.Endpoint(), "http://"+c.Internal), 1),
		func(o *gateway.Options) {
			o.Rest.Tokens = filepath.Join(dir, "tokens")
			if o.Stamp == "control" {
				o.Targets = map[string]gateway.TargetFiles{"keptn-keptn": {Credentials: map[string]string{"x-token": filepath.Join(dir, "keptn")}}}
			}
		})
	c.NATS = f.Stamp("control").URL()
	Start(t, c)
	face := strings.TrimPrefix(f.Stamp("first").RESTURL(), "http://")
	near := &Pod{Distributor: Distributor{
		Clock: quick, Release: Release14, Name: "near-service", Namespace: "keptn", Hosts: InCluster(face),
		PubSubURL: f.Stamp("first").URL(), PubSubTopic: "sh.keptn.event.*.triggered", PubSubGroup: "near-service", StageFilter: "dev,hardening",
		HeartbeatInterval: time.Second,
	}}
	far := &Pod{Distributor: Distributor{
		Clock: quick, Release: Release019, Name: "far-service", Namespace: "keptn-exec",
		APIEndpoint: f.Stamp("second").RESTURL() + "/p/helm/api", APIToken: "token of the stamp",
		PubSubTopic: triggered, StageFilter: "production", HeartbeatInterval: time.Second, PollingInterval: time.Second,
	}}
	Start(t, near)
	Start(t, far)
	heard(t, near)
	heard(t, far)
	require.Len(t, c.Store.Integrations(), 2)
	requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
	require.Equal(t, map[string]int{"dev": 2, "hardening": 2}, stages(near))
	require.Equal(t, map[string]int{"production": 1}, stages(far))
}
