package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// storyWorld has a control plane, a hub that events do not go to, and three leaves
// that get every task of stage prod.
const storyWorld = `
apiVersion: ringway/v1
kind: Topology
name: story
geos: [eu, us]
rings: [dev, prod]
stamps:
  - name: control
    geo: eu
    ring: dev
    roles: [control]
    link: {kind: hub, advertise: {gateway: "control.example:7222", leafnode: "control.example:7422"}}
  - {name: hub, geo: us, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "hub.example:7222"}}}
  - {name: plane, geo: eu, ring: prod, link: {via: [control]}}
  - {name: away, geo: eu, ring: prod, link: {via: [control]}}
  - {name: empty, geo: us, ring: prod, link: {via: [control]}}
controlPlanes: [{name: keptn, stamp: control}]
stages:
  - {name: prod, ring: prod, deliver: all, startWithin: 1s}
policies:
  - {name: no-tests, effect: deny, types: [sh.keptn.event.test.triggered]}
`

// storyOf asks the gateway of a stamp what became of an event until it says all
// that is wanted, and returns that.
func storyOf(t *testing.T, f *fed.Fed, asked topology.StampID, id string, want ...string) *gateway.Story {
	t.Helper()
	var s *gateway.Story
	var missing []string
	require.Eventually(t, func() bool {
		var err error
		s, err = f.Stamp(asked).Gateway().Why(t.Context(), id)
		require.NoError(t, err)
		text := told(s)
		missing = missing[:0]
		for _, w := range want {
			if !strings.Contains(text, w) {
				missing = append(missing, w)
			}
		}
		if len(missing) == 0 {
			return true
		}
		t.Log(missing, "\n"+text)
		return false
	}, 3*fed.Patience, 50*time.Millisecond, "the story does not say what it should")
	return s
}

// told is a story as lines.
func told(s *gateway.Story) string {
	var b strings.Builder
	for _, e := range s.Entries {
		fmt.Fprintf(&b, "%s: %s: %s\n", e.Where, e.Step, e.What)
	}
	for _, e := range s.Now {
		fmt.Fprintf(&b, "now %s: %s: %s\n", e.Where, e.Step, e.What)
	}
	for _, e := range s.Silent {
		fmt.Fprintf(&b, "silent %s: %s\n", e.Stamp, e.Err)
	}
	return b.String()
}

// replyOf is a plane's answer to a task.
func replyOf(typ, id, task, source string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"triggeredid":%q,"shkeptncontext":"context-1",`+
		`"data":{"project":"sockshop","stage":"prod","service":"carts"}}`, id, source, typ, task)
}

// TestWhy: of a task for three stamps, one does it, one is cut off and one has no
// plane; a stamp that was not asked answers, too. The gateway of another stamp tells
// all of it, also after a restart of the one that gave the task.
func TestWhy(t *testing.T) {
	f := fed.New(t, storyWorld)
	tap := f.Tap("plane", triggered, "helm-service")
	f.Cut("away")
	f.Down("away")
	f.Publish("control", triggered, event(triggered, "task-1", "prod", "context-1"))
	tap.Next()
	f.Publish("plane", started, replyOf(started, "answer-1", "task-1", "helm-service"))
	f.Publish("plane", finished, replyOf(finished, "answer-2", "task-1", "helm-service"))
	f.Publish("hub", finished, replyOf(finished, "answer-3", "task-1", "forger"))
	s := storyOf(t, f, "hub", "task-1",
		"control: captured: published "+triggered+"  sockshop/prod/carts\n",
		"control → plane, away, empty: routed: routed: rule prod: takes it",
		"control → plane: stored: stored in plane\n",
		"control → away: held: held in the outbox: it is away since ",
		"plane: crossed: arrived from control\n",
		"plane: delivered: delivered to 1 subscriber\n",
		"plane: captured: published "+started,
		"plane → control: started: helm-service started (1/3 started, waiting for away",
		"plane → control: barrier: helm-service finished, held by the barrier (1/3 started, waiting for away",
		"empty: waiting: waits: nobody in the stamp subscribes (until ",
		"empty: declined: let go of the task: no plane took it in time\n",
		"empty: dead: could not be delivered (no-plane): nobody subscribed to "+triggered+" for 1s",
		"control: refused: refused (not-asked): task task-1 was not given to stamp hub; dead letter\n",
		"now control → away: held: held in the outbox: it is away since ",
		"now control: task: task: plane: started, away: asked, not started, empty: declined; 1 .finished held\n",
		"now empty: dead: could not be delivered (no-plane)",
		"now control: refused: refused (not-asked)",
		"silent away: did not answer",
	)
	require.True(t, s.Known())
	require.Equal(t, topology.StampID("hub"), s.Asked)
	require.Equal(t, "task-1", s.Events[0].ID)
	require.Equal(t, "context-1", s.Events[0].Context)
	require.Len(t, s.Events, 4)
	for i, e := range s.Entries[1:] {
		require.False(t, e.Time.Before(s.Entries[i].Time), "in order of time")
	}

	// What is on the disk is told after a restart, too.
	f.Stop("control")
	f.Restart("control")
	f.Stop("plane")
	f.Restart("plane")
	storyOf(t, f, "hub", "task-1",
		"now control → away: held: held in the outbox: it is away since ",
		"now control: task: task: plane: started, away: asked, not started, empty: declined",
		"now control: refused: refused (not-asked)",
		"now plane: kept: arrived from control, and is done with\n",
	)

	// By context, and once it is whole again.
	f.Heal("away")
	f.Linked()
	s = storyOf(t, f, "control", "context-1", "away: crossed: arrived from control", "control: refused")
	require.Empty(t, s.Silent)

	none, err := f.Stamp("hub").Gateway().Why(t.Context(), "no-such-event")
	require.NoError(t, err)
	require.False(t, none.Known())
	require.Empty(t, none.Silent)
}

// TestWhyOfWhatMayNotCross: the rule that forbids it is named.
func TestWhyOfWhatMayNotCross(t *testing.T) {
	f := fed.New(t, storyWorld)
	const test = "sh.keptn.event.test.triggered"
	f.Publish("control", test, event(test, "test-1", "prod", "k"))
	storyOf(t, f, "hub", "test-1", "control: refused: refused (policy): rule prod: takes it; stamp plane: denied by policy no-tests", "now control: refused: refused (policy)")
	// A leaf is told of what it has to do with.
	f.Publish("control", triggered, event(triggered, "task-1", "prod", "k"))
	s := storyOf(t, f, "plane", "k", "plane: crossed: arrived from control", "control → plane, away, empty: routed", "silent empty: refused: ")
	require.NotContains(t, told(s), "test.triggered")
}

// TestTail: who follows events hears of every step, in all stamps, that passes the
// filter.
func TestTail(t *testing.T) {
	f := fed.New(t, storyWorld)
	tap := f.Tap("plane", triggered, "helm-service")
	resp, err := http.Get(f.Stamp("hub").Gateway().AdminURL() + "/events/tail?stage=prod&step=captured,delivered&stamp=control,plane&type=deployment.triggered") //nolint:noctx // a test
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	require.Equal(t, 200, resp.StatusCode)
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan())
	// It begins with what happens from now on; when that is, nobody says.
	stop := make(chan struct{})
	done := make(chan struct{})
	nc := f.Client("control")
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			_ = nc.Publish(triggered, event(triggered, fmt.Sprint(n), "prod", "k")) // what is not there is not heard of
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	tap.Next()
	got := map[bridge.Step]journal.Entry{}
	for len(got) < 2 && lines.Scan() {
		if lines.Text() == "" {
			continue
		}
		var line gateway.TailStep
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		require.Equal(t, "Step", line.Kind)
		require.Equal(t, "prod", line.Stage)
		got[line.Step] = line.Entry
	}
	close(stop)
	<-done
	require.Equal(t, topology.StampID("control"), got[bridge.StepCaptured].Stamp)
	require.Equal(t, topology.StampID("plane"), got[bridge.StepDelivered].Stamp)
	for _, wrong := range []string{"step=nonsense", "stamp=nobody", "colour=red", "back=x"} {
		resp, err := http.Get(f.Stamp("hub").Gateway().AdminURL() + "/events/tail?" + wrong) //nolint:noctx // a test
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 400, resp.StatusCode, wrong)
	}
}
