package gateway_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// replicatedHub is a hub with three replicas and a leaf.
const replicatedHub = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev, prod]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], replicas: 3, link: {kind: hub, advertise: {gateway: "hub.example:7222", leafnode: "hub.example:7422"}}}
  - {name: leaf, geo: eu, ring: prod}
controlPlanes: [{name: k, stamp: hub}]
stages: [{name: prod, ring: prod}]
`

// storyAt asks over an admin face.
func storyAt(t *testing.T, url, id string) gateway.Story {
	t.Helper()
	code, body := get(t, url+"/events/why?id="+id)
	require.Equal(t, 200, code, body)
	var s gateway.Story
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	require.Equal(t, "Story", s.Kind)
	require.Equal(t, "ringway/v1", s.APIVersion)
	return s
}

// TestStoryOfReplicas: what any replica remembers is told, whichever is asked, and
// whichever moves events.
func TestStoryOfReplicas(t *testing.T) {
	f := fed.New(t, replicatedHub)
	active := f.Active("hub")
	other := f.Replica("hub", (active+1)%3).Gateway()
	const subject = "sh.keptn.event.deployment.triggered"
	f.Publish("hub", subject, keptnEvent(subject, "task-1", "prod"))
	other.Note(bridge.Moment{Step: bridge.StepTold, About: bridge.About{ID: "task-1", Type: subject}, Detail: "by another"})
	for _, url := range []string{f.Replica("hub", active).Gateway().AdminURL(), other.AdminURL(), f.Stamp("leaf").Gateway().AdminURL()} {
		require.Eventually(t, func() bool {
			s := storyAt(t, url, "task-1")
			replicas, steps := map[string]bool{}, map[bridge.Step]bool{}
			for _, e := range s.Entries {
				if e.Stamp == "hub" {
					replicas[e.Replica] = true
				}
				steps[e.Step] = true
			}
			return len(replicas) == 2 && steps[bridge.StepCaptured] && steps[bridge.StepCrossed] && steps[bridge.StepTold] && len(s.Silent) == 0
		}, 2*fed.Patience, 50*time.Millisecond, url)
	}
}

// TestTailOverHTTP: a browser gets server-sent events, and what makes no sense is
// refused.
func TestTailOverHTTP(t *testing.T) {
	f := fed.New(t, threeStamps)
	const subject = "sh.keptn.event.deployment.triggered"
	f.Publish("hub", subject, keptnEvent(subject, "task-1", "far"))
	url := f.Stamp("hub").Gateway().AdminURL()
	require.Eventually(t, func() bool { return len(storyAt(t, url, "task-1").Entries) > 3 }, fed.Patience, 20*time.Millisecond)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/events/tail?back=100&step=crossed", nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	for lines := bufio.NewScanner(resp.Body); ; {
		require.True(t, lines.Scan())
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var step gateway.TailStep
		require.NoError(t, json.Unmarshal([]byte(data), &step))
		require.Equal(t, "task-1", step.ID)
		require.EqualValues(t, "far", step.Stamp)
		break
	}
	for _, wrong := range []string{"/events/why", "/events/why?id=" + strings.Repeat("x", 1000), "/events/tail?x=y"} {
		code, body := get(t, url+wrong)
		require.Equal(t, 400, code, body)
	}
}
