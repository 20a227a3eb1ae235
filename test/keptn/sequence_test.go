package keptn

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireOnce requires that the sequences of a context ran every task of a
// project once, in order, and that nothing came late.
func requireOnce(t testing.TB, c *ControlPlane, p Project, shkeptncontext string) {
	t.Helper()
	all := c.Ended(t, shkeptncontext)
	require.Len(t, all, len(p.Stages))
	for i, s := range all {
		require.Equal(t, p.Stages[i].Name, s.Stage)
		require.Equal(t, Finished, s.State)
		require.Equal(t, pass, s.Result)
		require.Len(t, s.Tasks, len(p.Stages[i].Tasks))
		for k, task := range s.Tasks {
			require.Equal(t, p.Stages[i].Tasks[k], task.Name)
			require.Len(t, task.Started, 1, "%s in %s", task.Name, s.Stage)
			require.Len(t, task.Finished, 1, "%s in %s", task.Name, s.Stage)
		}
	}
	require.Empty(t, c.Store.Late())
}

// TestSequenceRuns lets one service of each kind do the tasks of a sequence in
// one cluster, as Keptn is meant to be used.
func TestSequenceRuns(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	p := recordedPod(t, Release14)
	p.Namespace, p.Hosts, p.PubSubURL, p.PubSubTopic = "keptn", InCluster(c.Internal), srv.URL(), triggered
	p.HeartbeatInterval = time.Second
	Start(t, p)
	s := recordedSDK(Release019)
	s.APIEndpoint, s.APIToken, s.PubSubTopic = c.Endpoint(), Token, "sh.keptn.event.test.triggered"
	s.Handler = func(_ context.Context, e Event) map[string]any {
		d := must2(e.Of())
		return map[string]any{"project": d.Project, "stage": d.Stage, "service": d.Service, "test": map[string]any{"start": "now"}}
	}
	Start(t, s)
	heard(t, p)
	requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", map[string]string{"build": "42"})))
	require.Len(t, p.Received(), 3)
	last := p.Received()[2]
	require.Equal(t, map[string]string{"build": "42"}, must2(last.Of()).Labels)
	require.Contains(t, string(last.Data), `"test":{"start":"now"}`, "data grows along a sequence")
	require.Empty(t, c.Store.Open(triggered))
}

func must2(d Data, err error) Data {
	if err != nil {
		panic(err)
	}
	return d
}

// TestFailureEndsASequence: the remaining tasks are skipped and the next stage
// is not reached; the errors are reported.
func TestFailureEndsASequence(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	s := recordedSDK(Release14)
	s.Hosts, s.EventBroker = InCluster(c.Internal), srv.URL()
	s.Handler = func(_ context.Context, e Event) map[string]any {
		d := must2(e.Of())
		return map[string]any{"project": d.Project, "stage": d.Stage, "service": d.Service, "status": errored, "result": fail, "message": "boom"}
	}
	Start(t, s)
	all := c.Ended(t, c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
	require.Len(t, all, 1)
	require.Equal(t, errored, all[0].Status)
	require.Len(t, all[0].Tasks, 1)
	require.Eventually(t, func() bool { return len(c.Store.Logs()) == 1 }, patience, time.Millisecond)
	require.Equal(t, "boom", c.Store.Logs()[0].Message)
}

// TestNobodyAnswersATask: a sequence without a plane is given up; one that has
// begun is not.
func TestNobodyAnswersATask(t *testing.T) {
	t.Parallel()
	p := Project{Name: "sockshop", Stages: []Stage{{"dev", []string{"deployment"}}}}
	srv, c := controlAt(t, Clock{Second: 3 * time.Millisecond}, p)
	begun := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Eventually(t, func() bool { return len(c.Store.Open(triggered)) == 1 }, patience, time.Millisecond)
	open := c.Store.Open(triggered)[0]
	source, typ := "x", "sh.keptn.event.deployment.status.changed"
	body := encode(Event{Source: &source, Type: &typ, TriggeredID: open.ID, Context: begun, Time: time.Now(), Data: encode(Data{})})
	require.NoError(t, srv.Connect().Publish(typ, body))
	later := c.Ended(t, c.Post(t, Trigger("sockshop", "dev", "other", "delivery", nil)))
	require.Equal(t, TimedOut, later[0].State)
	require.Equal(t, errored, later[0].Status)
	require.Equal(t, open.ID, c.Store.Open(triggered)[0].ID)
}

// TestAbortClosesATask: an answer that comes later is nothing to anybody.
func TestAbortClosesATask(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	context := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	require.Eventually(t, func() bool { return len(c.Store.Open(triggered)) == 1 }, patience, time.Millisecond)
	id := c.Store.Open(triggered)[0].ID
	path := "/api/controlPlane/v1/sequence/sockshop/" + context + "/control"
	status, _ := call(t, c, http.MethodPost, path, `{"state":"abort","stage":""}`)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, Aborted, c.Ended(t, context)[0].State)
	require.Empty(t, c.Store.Open(triggered))
	status, _ = call(t, c, http.MethodPost, path, `{"state":"abort"}`)
	require.Equal(t, http.StatusNotFound, status)

	late := must(ParseEvent(eventOf(finished, "late", "dev")))
	late.Context, late.TriggeredID = context, id
	require.NoError(t, srv.Connect().Publish(finished, encode(late)))
	require.Eventually(t, func() bool { return len(c.Store.Late()) == 1 }, patience, time.Millisecond)
}
