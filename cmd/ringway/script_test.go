package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ringway": func() { os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command line as people do: testdata/script has one file
// for each behaviour.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

// code runs a command that has to end with an exit code.
func code(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// TestEveryKeyHasAFlagAndAVariable: a flag wins over a variable, a variable
// over what was there.
func TestEveryKeyHasAFlagAndAVariable(t *testing.T) {
	o := gateway.DefaultOptions()
	cmd := newRunCommand()
	for _, s := range settings(&o) {
		require.NotNil(t, cmd.Flags().Lookup(s.flag()), s.key)
	}
	env := map[string]string{
		"RINGWAY_STAMP": "from-env", "RINGWAY_LISTEN_CLIENTS": "1.2.3.4:5", "RINGWAY_EVENTS_MAX_WAIT": "5h",
		"RINGWAY_REACH": "hub.gateway=a:1,hub.leafnode=b:2", "RINGWAY_REST_NAMES": "*=:1,secret-service=:2", "RINGWAY_REST_ANONYMOUS": "true",
		"RINGWAY_TARGETS": "k8s.ca=ca.crt,k8s.credentials.Authorization=token,k8s.credentials.x-token=other,keptn.cert=c",
	}
	require.NoError(t, cmd.Flags().Set("stamp", "from-flag"))
	require.NoError(t, override(cmd.Flags(), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, &o))
	require.EqualValues(t, "from-flag", o.Stamp)
	require.Equal(t, "1.2.3.4:5", o.Listen.Clients)
	require.Equal(t, "5h0m0s", o.Events.MaxWait.String())
	require.Equal(t, "a:1", o.Reach["hub"].Gateway)
	require.Equal(t, "b:2", o.Reach["hub"].Leafnode)
	require.Equal(t, map[string]string{"*": ":1", "secret-service": ":2"}, o.Rest.Names)
	require.True(t, o.Rest.Anonymous)
	require.Equal(t, map[string]gateway.TargetFiles{
		"k8s": {CA: "ca.crt", Credentials: map[string]string{"Authorization": "token", "x-token": "other"}}, "keptn": {Cert: "c"},
	}, o.Targets)
	for _, bad := range [][2]string{
		{"REACH", "hub=a:1"}, {"REACH", "hub.nothing=a:1"}, {"REACH", "x"}, {"REST_NAMES", "x"}, {"REST_ANONYMOUS", "perhaps"}, {"TARGETS", "k8s.x=y"},
	} {
		require.Error(t, override(cmd.Flags(), func(k string) (string, bool) { return bad[1], k == "RINGWAY_"+bad[0] }, &o), bad)
	}
}
