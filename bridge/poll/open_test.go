package poll_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/poll"
)

// TestPollShowsWhatIsOpen: in the shape of Keptn, the newest first, and filtered by
// the subscriptions of the plane and the query.
func TestPollShowsWhatIsOpen(t *testing.T) {
	b := newBench(t)
	b.reg.register("one", "helm", poll.Subscription{Event: deploy, Stages: []string{"one"}})
	b.reg.register("all", "helm", poll.Subscription{Event: deploy})
	require.Equal(t, `{"events":[],"nextPageKey":"0"}`, b.poll("one", deploy).text)
	b.put(false, event(deploy, "1", "k1", "one"), event(deploy, "2", "k2", "two"), event(deploy, "3", "k3", "one"))
	b.put(false, event(deploy, "1", "k1", "one")) // it may come again
	a := b.poll("one", deploy)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "3 1", a.ids())
	require.Equal(t, 2, a.TotalCount)
	require.Equal(t, "3 2 1", b.poll("all", deploy).ids())
	require.Equal(t, "2", b.poll("all", deploy+"?stage=two").ids())
	require.Equal(t, "1", b.poll("all", deploy+"?eventID=1&project=p&service=c").ids())
	require.Equal(t, "", b.poll("all", deploy+"?project=q").ids())
	require.Equal(t, `{"events":[{"contenttype":"application/json","data":{"project":"p","stage":"two","service":"c","n":1.50},"id":"2",`+
		`"shkeptncontext":"k2","source":"shipyard-controller","specversion":"1.0","time":"2026-01-01T00:00:00.5Z","type":"`+deploy+`"}],"nextPageKey":"0","totalCount":1}`,
		b.poll("all", deploy+"?eventID=2").text)
	require.Equal(t, "", b.poll("all", "sh.keptn.event.test.triggered").ids())
}

// TestErrorsOfAPoll are those of the contract.
func TestErrorsOfAPoll(t *testing.T) {
	b := newBench(t)
	a := b.poll("x", deploy+"?project=unknown")
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, `{"code":404,"message":"project not found"}`, a.text)
	a = b.poll("x", deploy+"?pageSize=many")
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Equal(t, 400, a.Code)
	require.Equal(t, http.StatusTeapot, b.do(http.MethodDelete, "/api/controlPlane/v1/event/triggered/"+deploy, nil).status)
	require.Equal(t, http.StatusOK, b.do(http.MethodPost, "/api/v1/auth", nil).status)
	require.JSONEq(t, `{"automaticprovisioning":false,"bridgeversion":"N/A","keptnlabel":"keptn","keptnversion":"N/A","namespace":"keptn","shipyardversion":"0.2.0"}`,
		b.do(http.MethodGet, "/api/v1/metadata", nil).text)
}

// TestPagesNeitherSkipNorRepeat: while events open and close between two pages.
func TestPagesNeitherSkipNorRepeat(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	for i := range 50 {
		b.put(false, event(deploy, fmt.Sprint(i), fmt.Sprint("k", i), "one"))
	}
	got := map[string]int{}
	key, pages := "", 0
	for key != "0" {
		a := b.poll("x", deploy+"?nextPageKey="+key)
		for _, e := range a.Events {
			got[e.ID]++
		}
		key = a.NextPageKey
		pages++
		b.put(true, event("sh.keptn.event.deployment.finished", fmt.Sprint("f", pages), "k", "one", a.Events[3].ID))
		b.put(false, event(deploy, fmt.Sprint("new", pages), "n", "one"))
	}
	require.Equal(t, 3, pages)
	for i := range 50 {
		require.Equal(t, 1, got[fmt.Sprint(i)])
	}
	require.Len(t, got, 50)
	require.Equal(t, "0", b.poll("x", deploy+"?pageSize=0").NextPageKey)
	require.Len(t, b.poll("x", deploy+"?pageSize=500").Events, 50)
}

// TestHiddenFromWhoHasStarted: and from nobody else; over with .finished, also
// after a restart.
func TestHiddenFromWhoHasStarted(t *testing.T) {
	b := newBench(t)
	b.reg.register("a", "helm", poll.Subscription{Event: deploy})
	b.reg.register("two", "helm", poll.Subscription{Event: deploy})
	b.reg.register("two", "jmeter", poll.Subscription{Event: deploy})
	b.put(false, event(deploy, "1", "k1", "one"), event(deploy, "2", "k2", "one"))
	begin := func(plane, id, source string) {
		t.Helper()
		body := fmt.Appendf(nil, `{"type":"sh.keptn.event.deployment.started","source":%q,"shkeptncontext":"0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33",`+
			`"triggeredid":%q,"data":{"project":"p","stage":"one","service":"c"}}`, source, id)
		require.Equal(t, http.StatusOK, b.post(plane, body).status)
	}
	begin("a", "1", "helm")
	require.Equal(t, "2", b.poll("a", deploy).ids())
	require.Equal(t, "2 1", b.poll("two", deploy).ids())
	begin("two", "1", "helm")
	begin("two", "1", "helm")
	require.Equal(t, "2 1", b.poll("two", deploy).ids(), "its second integration has not started")
	begin("two", "1", "jmeter")
	require.Equal(t, "2", b.poll("two", deploy).ids())
	b.reg.register("two", "late", poll.Subscription{Event: deploy, Stages: []string{"one"}})
	require.Never(t, func() bool { return b.poll("two", deploy).ids() != "2" }, 300*time.Millisecond, 10*time.Millisecond, "the others would begin anew")
	b.stop()
	b.start()
	require.Equal(t, "2", b.poll("a", deploy).ids())
	require.Equal(t, "2 1", b.poll("other", deploy).ids())

	b.put(true, event("sh.keptn.event.deployment.started", "s1", "k1", "one", "1"), event("sh.keptn.event.deployment.started", "s2", "k1", "one", "1"))
	b.put(true, event("sh.keptn.event.deployment.finished", "f1", "k1", "one", "1"))
	require.Equal(t, "2 1", b.poll("other", deploy).ids(), "one of two has finished")
	b.put(true, event("sh.keptn.event.deployment.finished", "f1", "k1", "one", "1"))
	require.Equal(t, "2 1", b.poll("other", deploy).ids(), "the same again is no second one")
	b.put(true, event("sh.keptn.event.deployment.finished", "f2", "k1", "one", "1"))
	require.Equal(t, "2", b.poll("other", deploy).ids())
	b.put(false, event(deploy, "1", "k1", "one"))
	require.Equal(t, "2", b.poll("other", deploy).ids(), "it is not opened again")
	b.stop()
	b.start()
	require.Equal(t, "2", b.poll("other", deploy).ids())
	b.put(false, event(deploy, "1", "k1", "one"))
	require.Equal(t, "2", b.poll("other", deploy).ids())
	require.Eventually(t, func() bool { return len(b.bodies(poll.StreamOpen)) == 2 }, eventually, tick, "what is over is removed, but for that it is")
}

// TestSequenceThatIsOverClosesItsTasks: an abort, too.
func TestSequenceThatIsOverClosesItsTasks(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{"sh.keptn.>"}
	b.put(false, event("sh.keptn.event.one.delivery.triggered", "s", "k", "one"), event(deploy, "1", "k", "one"), event(deploy, "2", "k", "two"), event(deploy, "3", "other", "one"))
	b.put(false, event("sh.keptn.event.one.delivery.finished", "f", "k", "one", "s"))
	require.Equal(t, "3 2", b.poll("x", deploy).ids())
	require.Equal(t, "", b.poll("x", "sh.keptn.event.one.delivery.triggered").ids())
	require.Equal(t, "f", b.poll("x", "sh.keptn.event.one.delivery.finished").ids())
}

// TestTypesThatKeptnDoesNotServe: get-sli.triggered, .finished, wildcards.
func TestTypesThatKeptnDoesNotServe(t *testing.T) {
	b := newBench(t)
	const sli, gone, end = "sh.keptn.event.get-sli.triggered", "sh.keptn.event.service.delete.finished", "sh.keptn.event.deployment.finished"
	b.reg.register("a", "sli", poll.Subscription{Event: sli})
	b.reg.register("a", "helm", poll.Subscription{Event: gone}, poll.Subscription{Event: end})
	b.reg.register("w", "all", poll.Subscription{Event: "sh.keptn.event.>", Stages: []string{"one", "two"}})
	for _, s := range []string{sli, gone, end} {
		require.True(t, b.srv.Wants(s), s)
	}
	require.False(t, b.srv.Wants("sh.keptn.log.error"))
	b.put(false, event(sli, "1", "k", "one"), event(end, "2", "k", "one", "0"), event(gone, "3", "k", ""))
	require.Equal(t, "1", b.poll("a", sli).ids())
	require.Equal(t, "2", b.poll("a", end).ids())
	require.Equal(t, "3", b.poll("a", gone).ids())
	require.Equal(t, "2 1", b.poll("w", "sh.keptn.event.%3E").ids(), "what lacks a stage does not match a filter of stages")
	require.Equal(t, "2 1", b.poll("w", "sh.keptn.event.>").ids())
	b.put(true, event("sh.keptn.event.get-sli.finished", "4", "k", "one", "1"))
	require.Equal(t, "", b.poll("a", sli).ids())
}

// TestUnregisteredIsReported: it gets what there is, as from Keptn.
func TestUnregisteredIsReported(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	b.put(false, event(deploy, "1", "k", "one"))
	require.Equal(t, "1", b.poll("script", deploy).ids())
	require.Equal(t, []string{"script " + deploy}, b.reg.seen)
}

// TestDueLater: an event with a time to come is not seen before (contract §4.4).
func TestDueLater(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	later := event(deploy, "1", "k", "one")
	due := time.Now().Add(400 * time.Millisecond)
	later = replaced(later, "2026-01-01T00:00:00.5Z", due.UTC().Format(time.RFC3339Nano))
	b.put(false, later)
	require.Empty(t, b.poll("x", deploy).Events)
	require.Equal(t, "1", b.poll("x", deploy+"?wait=5s").ids())
	require.False(t, time.Now().Before(due))
}

// TestTimeIsUp: what nobody finishes is closed, and news sooner.
func TestTimeIsUp(t *testing.T) {
	b := newStopped(t)
	b.edit = func(c *poll.Config) { c.TTL, c.NewsTTL = 600*time.Millisecond, 200*time.Millisecond }
	b.start()
	b.reg.polled = []string{"sh.keptn.>"}
	const news = "sh.keptn.event.service.delete.finished"
	b.put(false, event(deploy, "1", "k", "one"), event(news, "2", "k", "one"))
	require.Equal(t, "1", b.poll("x", deploy).ids())
	require.Eventually(t, func() bool { return len(b.poll("x", news).Events) == 0 }, eventually, tick)
	require.Eventually(t, func() bool { return len(b.poll("x", deploy).Events) == 0 }, eventually, tick)
	b.put(false, event(deploy, "1", "k", "one"), event(news, "2", "k", "one"))
	require.Empty(t, b.poll("x", deploy).Events)
	require.Empty(t, b.poll("x", news).Events)
}

// TestTagsAndLongPolls: a page that is known is not sent again, and one that waits
// has an event at once.
func TestTagsAndLongPolls(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	empty := b.poll("x", deploy)
	require.Equal(t, http.StatusNotModified, b.poll("x", deploy, "If-None-Match", empty.tag).status)
	for i, wait := range [][]string{{"If-None-Match", empty.tag}, {}} {
		id := fmt.Sprint(i)
		done := make(chan answer, 1)
		go func() { done <- b.poll("plane"+id, deploy+"?eventID="+id+"&wait=20s", wait...) }()
		select {
		case a := <-done:
			t.Fatalf("it does not wait: %s", a.text)
		case <-time.After(50 * time.Millisecond):
		}
		b.put(false, event(deploy, id, "k", "one"))
		require.Equal(t, id, (<-done).ids())
	}
	a := b.poll("x", deploy)
	require.NotEqual(t, empty.tag, a.tag)
	require.Equal(t, http.StatusNotModified, b.poll("x", deploy, "If-None-Match", a.tag, "Prefer", "respond-async, wait=0").status)
	began := time.Now()
	require.Equal(t, http.StatusNotModified, b.poll("x", deploy, "If-None-Match", a.tag, "Prefer", "wait=1").status)
	require.GreaterOrEqual(t, time.Since(began), 900*time.Millisecond)
}

// TestLetGo: the stamp takes a task back, and may be given it again.
func TestLetGo(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	b.put(false, event(deploy, "1", "k", "one"))
	require.NoError(t, b.srv.Release(t.Context(), "1"))
	require.NoError(t, b.srv.Release(t.Context(), "none"))
	require.Empty(t, b.poll("x", deploy).Events)
	b.put(false, event(deploy, "1", "k", "one"))
	require.Equal(t, "1", b.poll("x", deploy).ids())
	b.stop()
	b.start()
	require.Equal(t, "1", b.poll("x", deploy).ids())
}

// TestControlStamp: the stamp's own planes see what is theirs alone, and answers
// for its control plane wait for that.
func TestControlStamp(t *testing.T) {
	b := newStopped(t)
	b.me = "a"
	b.start()
	b.reg.polled = []string{"sh.keptn.>"}
	b.put(true, event(deploy, "theirs", "k", "one"), event(deploy, "ours", "k2", "mine"), event(deploy, "nobodys", "k3", "none"))
	require.Equal(t, "nobodys ours", b.poll("x", deploy).ids())
	const end = "sh.keptn.event.deployment.finished"
	require.False(t, b.srv.Wants(end))
	require.True(t, b.srv.Overhears(end))
	require.True(t, bridge.Draws(b.srv, end))
	require.False(t, bridge.Draws(b.srv, "metrics.cpu"))
}

// TestStoreRefusesASecondCopy: also where the index does not know.
func TestStoreRefusesASecondCopy(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	for range 3 {
		b.put(false, event(deploy, "1", "k", "one"), event(deploy, "1", "k", "one"))
	}
	require.Len(t, b.bodies(poll.StreamOpen), 1)
}

// TestStartAfterEverythingIsGone: the stream is empty and does not begin at 1.
func TestStartAfterEverythingIsGone(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	b.put(false, event(deploy, "1", "k", "one"), event(deploy, "2", "k", "one"))
	b.stop()
	st, err := b.js.Stream(t.Context(), poll.StreamOpen)
	require.NoError(t, err)
	require.NoError(t, st.Purge(t.Context()))
	b.start()
	b.put(false, event(deploy, "3", "k", "one"))
	require.Equal(t, "3", b.poll("x", deploy).ids())
	b.stop()
	require.NoError(t, b.js.DeleteStream(t.Context(), poll.StreamOpen))
	b.start()
	require.Empty(t, b.poll("x", deploy).Events)
}

// TestStreamThatIsLost: while it is read; what was in it is not shown any more.
func TestStreamThatIsLost(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	b.put(false, event(deploy, "1", "k", "one"), event(deploy, "2", "k", "one"))
	ended := b.ended()
	require.NoError(t, b.js.DeleteStream(t.Context(), poll.StreamOpen))
	require.Error(t, <-ended)
	require.Equal(t, "2 1", b.poll("x", deploy).ids(), "polls are answered")
	b.again()
	require.Empty(t, b.poll("x", deploy).Events)
	b.put(false, event(deploy, "1", "k", "one"))
	require.Equal(t, "1", b.poll("x", deploy).ids())
}

// TestManyAtOnce: what one poll sees it sees whole, and in the end all of it.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	b.reg.polled = []string{deploy}
	const n = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			_ = b.srv.Put(context.Background(), []bridge.Passing{{Subject: deploy, Body: event(deploy, fmt.Sprint(i), "k", "one")}})
		}
	}()
	for seen := 0; seen < n; {
		a := b.poll("x", deploy+"?pageSize=1000")
		require.GreaterOrEqual(t, len(a.Events), seen)
		seen = len(a.Events)
		require.Equal(t, seen, a.TotalCount)
		require.True(t, json.Valid([]byte(a.text)))
	}
	<-done
}
