package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// scripted is the federation that the scripts of testdata/federation ask.
const scripted = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu, us]
rings: [dev, prod]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: "hub.example:7422", websocket: "hub.example:443"}}}
  - {name: near, geo: eu, ring: dev}
  - {name: far, geo: us, ring: prod, link: {kind: leaf, via: [hub], transport: wss}}
controlPlanes: [{name: k, stamp: hub}]
stages: [{name: dev, ring: dev}, {name: far, ring: prod}]
`

// TestFederationScripts runs the verbs that ask gateways against real ones. A
// script may cut and heal a stamp, publish an event, and wait until a command
// ends with a code and prints what it should; within a minute, which is how
// long a person may take to find out what is wrong.
func TestFederationScripts(t *testing.T) { runFederationScripts(t, "testdata/federation") }

// TestOrderScripts is the same for verbs that change something, in a federation
// of their own.
func TestOrderScripts(t *testing.T) { runFederationScripts(t, "testdata/orders") }

func runFederationScripts(t *testing.T, dir string) {
	t.Helper()
	f := fed.New(t, scripted, func(o *gateway.Options) { o.Events.CanaryInterval = 250 * time.Millisecond })
	stamp := func(args []string) topology.StampID { return topology.StampID(args[0]) }
	testscript.Run(t, testscript.Params{
		Dir: dir, RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("KEYS", filepath.Join(f.Dir, "keys"))
			for _, s := range f.Stamps() {
				env.Setenv("NATS_"+string(s.ID), s.URL())
				env.Setenv("ADMIN_"+string(s.ID), s.Gateway().AdminURL())
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cut":  func(_ *testscript.TestScript, _ bool, args []string) { f.Cut(stamp(args)) },
			"heal": func(_ *testscript.TestScript, _ bool, args []string) { f.Heal(stamp(args)) },
			"publish": func(_ *testscript.TestScript, _ bool, args []string) {
				const subject = "sh.keptn.event.deployment.triggered"
				f.Publish(stamp(args), subject, fmt.Appendf(nil, `{"specversion":"1.0","id":"1","source":"s","type":%q,"shkeptncontext":"c","data":{"project":"p","stage":%q,"service":"s"}}`, subject, args[1]))
			},
			"until": until,
		},
	})
}

// until runs a command until it ends with a code and its output matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern := regexp.MustCompile(args[1])
	for began := time.Now(); ; {
		code := 0
		err := ts.Exec(args[2], args[3:]...)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		out := ts.ReadFile("stdout")
		if code == want && pattern.MatchString(out) {
			ts.Logf("after %s", time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			ts.Fatalf("exit code %d, want %d\nstdout does not match %q:\n%s%s", code, want, args[1], out, ts.ReadFile("stderr"))
		}
	}
}
