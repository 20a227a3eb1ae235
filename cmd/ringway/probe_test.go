package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// TestProbeScripts probes a federation whose control plane has an API.
func TestProbeScripts(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `{"projects":[]}`) // the client is the gateway
	}))
	t.Cleanup(api.Close)
	text := strings.Replace(scripted, "{name: k, stamp: hub}", "{name: k, stamp: hub, api: {services: {shipyard-controller: \""+api.URL+"\"}}}", 1)
	f := fed.New(t, strings.Replace(text, "geo: eu, ring: dev}", "geo: eu, ring: dev, replicas: 3}", 1), func(o *gateway.Options) {
		o.Events.CanaryInterval = 250 * time.Millisecond
	})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/probe", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, s := range f.Stamps() {
				env.Setenv("NATS_"+string(s.ID), s.URL())
				env.Setenv("ADMIN_"+string(s.ID), s.Gateway().AdminURL())
				env.Setenv("REST_"+string(s.ID), s.RESTURL())
			}
			near := f.Replica("near", f.Active("near")).Gateway()
			env.Setenv("ADMIN_near", near.AdminURL())
			standby := f.Replica("near", (f.Active("near")+1)%3).Gateway()
			env.Setenv("ADMIN_standby", standby.AdminURL())
			env.Setenv("NATS_standby", f.Replica("near", (f.Active("near")+1)%3).URL())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cut":  func(_ *testscript.TestScript, _ bool, args []string) { f.Cut(topology.StampID(args[0])) },
			"heal": func(_ *testscript.TestScript, _ bool, args []string) { f.Heal(topology.StampID(args[0])) },
			"api": func(_ *testscript.TestScript, _ bool, args []string) {
				code := map[string]int32{"200": 200, "401": 401, "500": 500}[args[0]]
				status.Store(code)
			},
			"until": until,
		},
	})
}
