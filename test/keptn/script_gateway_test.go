package keptn

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// TestScriptPlaneAtAGateway: a script polls the gateway of its stamp and posts
// there; the control plane is reached by NATS, and its stamp is cut off in the
// middle.
func TestScriptPlaneAtAGateway(t *testing.T) {
	tokens := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tokens, "script"), []byte(Token), 0o600))
	f := fed.New(t, world, func(o *gateway.Options) { o.Rest.Tokens = tokens })
	c := &ControlPlane{NATS: f.Stamp("control").URL(), Store: NewStore(Clock{Second: 200 * time.Millisecond}, shop())}
	Start(t, c)
	dir := t.TempDir()
	var types string
	for _, s := range shop().Stages {
		for _, task := range s.Tasks {
			types += " " + prefix + task + "." + kindTrig
		}
	}
	runScript(t, dir, f.Stamp("first").Gateway().RESTURL()+"/p/script/api", `echo "$STAGE" >>runs.txt; echo done`,
		"TYPES="+types, "REGISTER=no")
	at, done := make(chan struct{}), make(chan struct{})
	pod(t, f, "second", func(context.Context, Event) map[string]any { close(at); <-done; return nil })
	shkeptncontext := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	select {
	case <-at:
	case <-time.After(patience):
		require.Fail(t, "the script does not do its tasks")
	}
	f.Cut("first")
	f.Down("first")
	close(done)
	f.Heal("first")
	requireOnce(t, c, shop(), shkeptncontext)
	text, err := os.ReadFile(filepath.Join(dir, "runs.txt"))
	require.NoError(t, err)
	require.Equal(t, "dev\ndev\nhardening\nhardening\n", string(text))
}

// TestAllByHTTP: a script that polls the gateway of the very stamp that polls
// the control plane.
func TestAllByHTTP(t *testing.T) {
	tokens := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tokens, "script"), []byte(Token), 0o600))
	f, c := byHTTP(t, 1, nil, func(text string) string {
		return strings.Replace(text, "roles: [control]", "roles: [control, execution]", 1) + "  - {name: control, ring: control}\n"
	}, func(o *gateway.Options) { o.Rest.Tokens = tokens })
	dir := t.TempDir()
	runScript(t, dir, f.Stamp("control").Gateway().RESTURL()+"/p/script/api", `echo "$SERVICE" >>runs.txt`, "REGISTER=no")
	shkeptncontext := c.Post(t, Trigger("tools", "control", "carts", "delivery", nil))
	requireOnce(t, c, tools, shkeptncontext)
	text, err := os.ReadFile(filepath.Join(dir, "runs.txt"))
	require.NoError(t, err)
	require.Equal(t, "carts\n", string(text))
}

// tools is a project whose work is done where the control plane is spoken for.
var tools = Project{Name: "tools", Sequence: "delivery", Stages: []Stage{{Name: "control", Tasks: []string{"deployment"}}}}
