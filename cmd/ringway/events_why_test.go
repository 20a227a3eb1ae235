package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// TestEventScripts runs the verbs that ask what became of events against real
// gateways.
func TestEventScripts(t *testing.T) {
	f := fed.New(t, scripted, func(o *gateway.Options) { o.Events.CanaryInterval = 250 * time.Millisecond })
	stamp := func(s string) topology.StampID { return topology.StampID(s) }
	testscript.Run(t, testscript.Params{
		Dir: "testdata/why", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("KEYS", filepath.Join(f.Dir, "keys"))
			for _, s := range f.Stamps() {
				env.Setenv("NATS_"+string(s.ID), s.URL())
				env.Setenv("ADMIN_"+string(s.ID), s.Gateway().AdminURL())
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cut": func(_ *testscript.TestScript, _ bool, args []string) {
				f.Cut(stamp(args[0]))
				f.Down(stamp(args[0]))
			},
			"heal": func(_ *testscript.TestScript, _ bool, args []string) { f.Heal(stamp(args[0])) },
			"publish": func(_ *testscript.TestScript, _ bool, args []string) {
				const subject = "sh.keptn.event.deployment.triggered"
				f.Publish(stamp(args[0]), subject, fmt.Appendf(nil,
					`{"specversion":"1.0","id":%q,"source":"s","type":%q,"shkeptncontext":%q,"data":{"project":"p","stage":%q,"service":"s"}}`,
					args[2], subject, args[3], args[1]))
			},
			"until": until,
		},
	})
}

// aStory has a step of each kind that people see most.
func aStory() *gateway.Story {
	at := time.Date(2026, 1, 2, 10, 41, 2, 0, time.UTC)
	task := bridge.About{ID: "task-1", Type: "sh.keptn.event.deployment.triggered", Context: "c", Project: "sockshop", Stage: "prod", Service: "carts"}
	answer := task
	answer.ID, answer.Type, answer.Triggered, answer.Source = "answer-1", "sh.keptn.event.deployment.started", "task-1", "helm-service"
	entry := func(after time.Duration, stamp topology.StampID, a bridge.About, e journal.Entry) journal.Entry {
		e.Time, e.Stamp = at.Add(after), stamp
		e.About(a)
		return e
	}
	return &gateway.Story{
		APIVersion: "ringway/v1", Kind: "Story", Match: "task-1", Asked: "cp", At: at.Add(time.Minute),
		Events: []gateway.StoryEvent{{ID: "task-1", Type: task.Type}, {ID: "answer-1", Type: answer.Type}},
		Entries: []journal.Entry{
			entry(-24*time.Hour, "cp", task, journal.Entry{Step: bridge.StepCaptured}),
			entry(0, "cp", task, journal.Entry{Step: bridge.StepRouted, Tried: []string{"rule prod: takes it"}, Targets: []journal.Target{{Stamp: "eu-1", Rule: "prod"}, {Stamp: "eu-2", Rule: "prod"}}}),
			entry(0, "cp", task, journal.Entry{Step: bridge.StepHeld, Peer: "eu-2", Detail: "it is away since 10:36:50: no answer in time"}),
			entry(time.Second, "eu-1", task, journal.Entry{Step: bridge.StepCrossed, Peer: "cp"}),
			entry(time.Second, "eu-1", task, journal.Entry{Step: bridge.StepDelivered, Peer: "cp", N: 2}),
			entry(3*time.Second, "eu-1", answer, journal.Entry{Step: bridge.StepCaptured}),
			entry(3*time.Second, "cp", answer, journal.Entry{Step: bridge.StepStarted, Peer: "eu-1", N: 1, Of: 2, Detail: "waiting for eu-2", Until: at.Add(10 * time.Minute)}),
		},
		Now: []journal.Entry{
			entry(0, "cp", task, journal.Entry{Step: bridge.StepTask, Detail: "eu-1: started, eu-2: asked, not started", Until: at.Add(10 * time.Minute)}),
			entry(0, "cp", task, journal.Entry{Step: bridge.StepHeld, Peer: "eu-2", Detail: "it is away since 10:36:50: no answer in time"}),
		},
		Silent: []gateway.StorySilence{{Stamp: "eu-2", Err: "did not answer"}}, Cut: true,
	}
}

// TestStoryTable: how a story is laid out.
func TestStoryTable(t *testing.T) {
	for _, wide := range []bool{false, true} {
		var b bytes.Buffer
		require.NoError(t, storyTable{wide: wide}.print(&b, aStory()))
		golden(t, map[bool]string{false: "why.txt", true: "why-wide.txt"}[wide], b.String())
	}
}

// TestTailTable: how steps are laid out as they come.
func TestTailTable(t *testing.T) {
	for _, output := range []string{"table", "wide"} {
		var b, warn bytes.Buffer
		p := &tailPrinter{w: &b, warn: &warn, output: output, left: 3}
		p.silence(gateway.StorySilence{Stamp: "eu-2", Err: "did not answer"})
		p.silence(gateway.StorySilence{Stamp: "eu-2"})
		for i, e := range aStory().Entries[:3] {
			if err := p.step(e); i < 2 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errEnough)
			}
		}
		golden(t, "tail-"+output+".txt", b.String())
		require.Equal(t, "eu-2: did not answer\neu-2: is heard again\n", warn.String())
	}
}
