package keptn

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// A script is examples/script-plane, run by the system's sh and curl.
type script struct {
	t     testing.TB
	dir   string // where it runs and keeps what it has done
	cmd   *exec.Cmd
	ended chan struct{}
	said  bytes.Buffer
}

// runScript runs the script until the test ends, with variables in the form
// NAME=value.
func runScript(t testing.TB, dir, endpoint, work string, variables ...string) *script {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	file, err := filepath.Abs("../../examples/script-plane/plane.sh")
	require.NoError(t, err)
	s := &script{t: t, dir: dir, cmd: exec.CommandContext(t.Context(), "sh", file), ended: make(chan struct{})} //nolint:gosec // of this repository
	s.cmd.Dir, s.cmd.Stderr, s.cmd.Stdout = dir, &s.said, &s.said
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "KEPTN_API_ENDPOINT=" + endpoint, "KEPTN_API_TOKEN=" + Token, "WORK=" + work, "INTERVAL=1", "PING=1",
		"TYPES=sh.keptn.event.deployment.triggered",
	}, variables...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, s.cmd.Start())
	go func() {
		_ = s.cmd.Wait() // it is killed
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Log(s.said.String())
		}
	})
	return s
}

// kill ends the script and all that it has started, as a power cut does.
func (s *script) kill() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-s.ended
}

// keptnAlone is a control plane without anything of ours.
func keptnAlone(t *testing.T) *ControlPlane {
	t.Helper()
	c := &ControlPlane{
		NATS: "nats://app:x@" + natstest.StartStamp(t).Addr(),
		Store: NewStore(Clock{Second: 200 * time.Millisecond}, Project{Name: "sockshop", Stages: []Stage{
			{Name: "dev", Tasks: []string{"deployment"}},
		}}),
	}
	Start(t, c)
	return c
}

// TestScriptPlane: a script registers, does each task once and answers with
// what its work says.
func TestScriptPlane(t *testing.T) {
	c := keptnAlone(t)
	s := runScript(t, t.TempDir(), c.Endpoint(), `echo "$PROJECT $STAGE"; cat >>done.txt; echo >>done.txt; printf '%s\n' 'rolled "out" c:\new'; [ "$SERVICE" != bad ]`)
	good := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", map[string]string{"build": `a "b" {c}`}))
	bad := c.Post(t, Trigger("sockshop", "dev", "bad", "delivery", nil))
	done := c.Ended(t, good)[0]
	require.Equal(t, pass, done.Result)
	require.Len(t, done.Tasks[0].Started, 1)
	require.Len(t, done.Tasks[0].Finished, 1)
	require.Equal(t, fail, c.Ended(t, bad)[0].Result)
	want := []string{"started ", "changed sockshop dev", `changed rolled "out" c:\new`, `finished rolled "out" c:\new`}
	require.Eventually(t, func() bool { return slices.Equal(want, says(t, c, good)) }, patience, 5*time.Millisecond,
		"%s", lazy(func() string { return fmt.Sprint(says(t, c, good)) }))
	all := c.Store.Integrations()
	require.Len(t, all, 1)
	require.Equal(t, "script-plane", all[0].Name)
	require.Equal(t, "sh.keptn.event.deployment.triggered", all[0].Subscriptions[0].Event)
	text, err := os.ReadFile(filepath.Join(s.dir, "done.txt"))
	require.NoError(t, err)
	require.Equal(t, 2, bytes.Count(text, []byte("\n")), "%s", text)
}

// says returns the messages of the script about a sequence.
func says(t *testing.T, c *ControlPlane, shkeptncontext string) (out []string) {
	for _, e := range c.Store.Stored() {
		if e.Context != shkeptncontext || deref(e.Source) != "script-plane" {
			continue
		}
		d := must2(e.Of())
		out = append(out, kind(e.TypeName())+" "+d.Message)
		require.Equal(t, `a "b" {c}`, d.Labels["build"])
	}
	return out
}

// TestScriptPlaneIsKilled: a task that was under way ends as errored when the
// script runs again, and one that is done is not done again.
func TestScriptPlaneIsKilled(t *testing.T) {
	c := keptnAlone(t)
	dir := t.TempDir()
	s := runScript(t, dir, c.Endpoint(), `echo x >>runs.txt; [ -e go ] || sleep 60`, "REGISTER=no")
	first := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "runs.txt"))
		return err == nil && len(text) > 0
	}, patience, 5*time.Millisecond)
	s.kill()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	runScript(t, dir, c.Endpoint(), `echo x >>runs.txt`, "REGISTER=no")
	done := c.Ended(t, first)[0]
	require.Equal(t, errored, done.Status)
	require.Len(t, done.Tasks[0].Started, 1)
	second := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Equal(t, pass, c.Ended(t, second)[0].Result)
	text, err := os.ReadFile(filepath.Join(dir, "runs.txt"))
	require.NoError(t, err)
	require.Equal(t, "x\nx\n", string(text))
}

// TestScriptPlaneOutlivesItsControlPlane: and posts what it has when the API is
// back.
func TestScriptPlaneOutlivesItsControlPlane(t *testing.T) {
	url := "nats://app:x@" + natstest.StartStamp(t).Addr()
	store := NewStore(Clock{Second: 200 * time.Millisecond}, Project{Name: "sockshop", Stages: []Stage{{Name: "dev", Tasks: []string{"deployment"}}}})
	before := &ControlPlane{NATS: url, Store: store, Public: natstest.Addr(t)}
	run := Start(t, before)
	dir := t.TempDir()
	runScript(t, dir, before.Endpoint(), `echo x >>runs.txt; while [ ! -e go ]; do sleep 1; done`)
	context := before.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "runs.txt"))
		all := store.Sequences()
		return err == nil && len(all) == 1 && len(all[0].Tasks) == 1 && len(all[0].Tasks[0].Started) == 1
	}, patience, 5*time.Millisecond)
	run.Stop()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	after := &ControlPlane{NATS: url, Store: store, Public: before.Public}
	Start(t, after)
	require.Equal(t, pass, after.Ended(t, context)[0].Result)
	text, err := os.ReadFile(filepath.Join(dir, "runs.txt"))
	require.NoError(t, err)
	require.Equal(t, "x\n", string(text))
}

// TestScriptPlaneIsShort: it is there to be read.
func TestScriptPlaneIsShort(t *testing.T) {
	text, err := os.ReadFile("../../examples/script-plane/plane.sh")
	require.NoError(t, err)
	require.LessOrEqual(t, bytes.Count(text, []byte("\n")), 120)
}
