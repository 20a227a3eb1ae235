package keptn

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// everyKind has a task for each kind of plane.
func everyKind() Project {
	tasks := []string{"deployment", "test", "release", "check", "promote"}
	return Project{Name: "sockshop", Stages: []Stage{{"dev", tasks}, {"hardening", tasks[:1]}, {"production", tasks}}}
}

// A crew is one plane of each kind in a stamp, all of them with the names that
// they have in every other stamp.
type crew struct {
	helm, far *Pod
	sdk, poll *SDK
	runs      []*Process
	dir       string // of the script
	script    *script
}

// muster starts a crew of two releases.
func muster(t *testing.T, f *fed.Fed, stamp topology.StampID, clock Clock, release, other string) *crew {
	t.Helper()
	at := siteOf(f, stamp, clock)
	w := &crew{helm: at.distributor("deployment"), sdk: at.sdk("test"), far: at.remoteDistributor("release"), poll: at.remoteSDK("check"), dir: t.TempDir()}
	w.helm.Release, w.sdk.Release, w.far.Release, w.poll.Release = release, other, other, release
	for _, p := range []Program{w.helm, w.sdk, w.far, w.poll} {
		w.runs = append(w.runs, Start(t, p))
	}
	w.script = runScript(t, w.dir, at.endpoint("script"), `echo "$STAGE $SERVICE" >>done.txt`,
		"KEPTN_API_TOKEN="+tokenOf("script"), "TYPES="+topic("promote"), "NAME=script-service", "NAMESPACE=keptn-exec")
	return w
}

// did returns how many tasks of each stage each plane was given.
func (w *crew) did(t *testing.T) map[string]map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "done.txt"))
	require.NoError(t, err)
	script := map[string]int{}
	for line := range strings.Lines(string(text)) {
		script[strings.Fields(line)[0]]++
	}
	return map[string]map[string]int{
		"deployment": stages(w.helm), "test": perStage(w.sdk.Received()), "release": stages(w.far), "check": perStage(w.poll.Received()), "promote": script,
	}
}

// TestPartC: two stamps run the same services, with the same names, namespace and
// queue group: a distributor and a service by NATS, the same two by HTTP, and a
// script. The uplink of one is cut for a quarter of an hour of theirs. Every
// sequence completes once in the right stamp, nobody restarts, and Keptn shows
// each plane apart with its own filters.
func TestPartC(t *testing.T) { partC(t, "second") }

// TestPartCWithoutControlPlane: the same where it is the control plane that is cut
// off, and so every stamp from it.
func TestPartCWithoutControlPlane(t *testing.T) { partC(t, "control") }

// partC is the test with one stamp cut off.
func partC(t *testing.T, away topology.StampID) {
	t.Helper()
	clock := Clock{Second: 10 * time.Millisecond} // for Keptn, too: it gives a task up that nobody starts for ten minutes
	f, c, _ := behind(t, clock, everyKind(), nil, func(o *gateway.Options) {
		o.Events.TellAfter, o.Events.CanaryInterval = clock.of(o.Events.TellAfter), 50*time.Millisecond
	})
	first, second := muster(t, f, "first", clock, Release14, Release019), muster(t, f, "second", clock, Release019, Release14)
	runs := append(slices.Clone(first.runs), second.runs...)
	n := 0
	post := func() string {
		n++
		return c.Post(t, Trigger("sockshop", "dev", fmt.Sprint("carts-", n), "delivery", nil))
	}
	requireOnce(t, c, everyKind(), post())

	before := []string{post(), post()} // they are wherever they are when it is cut
	reach := func(stage, task string, want int) {
		t.Helper()
		require.Eventually(t, func() bool {
			got := 0
			for _, s := range c.Store.Sequences() {
				if s.Stage == stage && slices.ContainsFunc(s.Tasks, func(t Task) bool { return t.Name == task }) {
					got++
				}
			}
			return got >= want
		}, patience, time.Millisecond)
	}
	reach("production", "test", 2)
	f.Cut(away)
	f.Down("second")
	during := []string{post(), post()}
	lives(t, clock.of(15*time.Minute), runs...)
	if away == "second" {
		reach("production", "deployment", 5) // asked for, and not there
	}
	f.Heal(away)
	for _, shkeptncontext := range append(append(before, during...), post()) {
		requireOnce(t, c, everyKind(), shkeptncontext)
	}
	lives(t, clock.of(time.Minute), runs...)

	requireApart(t, c, map[string][]string{"first": {"dev", "hardening"}, "second": {"production"}}, map[string]string{
		"helm-service": "deployment", "sdk-service": "test", "far-service": "release", "far-sdk-service": "check", "script-service": "promote",
	})
	for _, w := range []*crew{first, second} {
		select {
		case <-w.script.ended:
			require.Fail(t, "the script has ended", w.script.said.String())
		default:
		}
		w.script.kill() // before it is looked at what it said
		require.NotContains(t, w.script.said.String(), " is refused")
	}
	all := map[string]int{"dev": n}
	require.Equal(t, map[string]map[string]int{
		"deployment": {"dev": n, "hardening": n}, "test": all, "release": all, "check": all, "promote": all,
	}, first.did(t))
	all = map[string]int{"production": n}
	require.Equal(t, map[string]map[string]int{
		"deployment": all, "test": all, "release": all, "check": all, "promote": all,
	}, second.did(t))
}

// requireApart requires that the Bridge shows planes with a task each in every
// stamp with its stages, and nothing else.
func requireApart(t testing.TB, c *ControlPlane, stamps map[string][]string, tasks map[string]string) {
	t.Helper()
	// One that was slow to register has been registered on its behalf, for a while.
	require.Eventually(t, func() bool { return len(shown(t, c)) <= len(stamps)*len(tasks) }, patience, 10*time.Millisecond)
	is := shown(t, c)
	ids := map[string]string{}
	for stamp, reached := range stamps {
		for name, task := range tasks {
			key := "keptn-exec." + stamp + "/" + name
			i, ok := is[key]
			require.True(t, ok, "no %s in %v", key, is)
			require.Equal(t, stamp, i.Metadata.Location)
			require.Len(t, i.Subscriptions, 1, key)
			require.NotEmpty(t, i.Subscriptions[0].ID)
			require.Equal(t, topic(task), i.Subscriptions[0].Event)
			require.Equal(t, Filter{Projects: []string{}, Stages: reached, Services: []string{}}, i.Subscriptions[0].Filter, key)
			require.Empty(t, ids[i.ID], "the id of another")
			ids[i.ID] = key
		}
	}
	require.Len(t, is, len(ids), "%v", is)
}
