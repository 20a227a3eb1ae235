package keptn

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask calls the API that a plane has, and reads the answer into out unless that is
// nil. It returns the status.
func (s site) ask(t testing.TB, plane, method, path string, in, out any) int {
	t.Helper()
	body := ""
	if in != nil {
		body = string(encode(in))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.endpoint(plane)+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("x-token", tokenOf(plane))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	if out != nil {
		require.NoError(t, json.Unmarshal(text, out), "%s", text)
	}
	return resp.StatusCode
}

const uniformPath = "/controlPlane/v1/uniform/registration"

// contractFaces: distributors in both modes that have nothing but the face of
// their stamp: they register, ping, get tasks, answer, and fetch a file whose name
// has an escaped slash.
func contractFaces(t *testing.T) {
	for _, release := range []string{Release019, Release14} {
		for mode, remote := range map[string]bool{"nats": false, "http": true} {
			t.Run(release+" "+mode, func(t *testing.T) {
				f, c, files := behind(t, slow(0), shop(), nil)
				at := siteOf(f, "first", quick)
				const base, query = "/v1/project/sockshop/stage/dev/service/carts/resource/", "?gitCommitID="
				p, name := at.distributor(""), "helm%2Fc.tgz"
				if remote {
					p, name = at.remoteDistributor(""), "helm%252Fc.tgz" // as for api-gateway-nginx
				}
				p.Release, p.PubSubTopic = release, topic("deployment")+","+topic("test")
				p.Work = func(context.Context, Event) map[string]any {
					resp, err := http.Get("http://" + p.Proxy() + "/resource-service" + base + "helm%2Fc.tgz" + query)
					if err == nil {
						_ = resp.Body.Close()
					}
					return nil
				}
				run := Start(t, p)
				pod(t, f, "second", nil)
				requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
				run.Alive(t)
				require.Equal(t, map[string]int{"dev": 2, "hardening": 2}, stages(p))
				call := base + name + query
				require.Equal(t, []string{call, call, call, call}, files.asked())
			})
		}
	}
}

// contractRemoteService: what has two stages in its filter sees no third one, also
// where the library does not look at the filter and the stamp has that stage.
func contractRemoteService(t *testing.T) {
	for _, release := range []string{Release019, Release14} {
		t.Run(release, func(t *testing.T) {
			f, c, _ := behind(t, slow(0), shop(), func(text string) string {
				return strings.Replace(text, "{name: production, ring: prod}", "{name: production, ring: dev}", 1)
			})
			at := siteOf(f, "first", quick)
			two, one := at.remoteSDK(""), at.remoteDistributor("deployment")
			two.Release, two.PubSubTopic = release, topic("deployment")+","+topic("test")
			one.StageFilter = "production"
			runs := []*Process{Start(t, two), Start(t, one)}
			is := shown(t, c)["keptn-exec.first/"+two.Name]
			require.Len(t, is.Subscriptions, 2)
			for _, s := range is.Subscriptions { // as somebody does in the Bridge
				require.Equal(t, []string{"dev", "hardening", "production"}, s.Filter.Stages)
				s.Filter.Stages = []string{"dev", "hardening"}
				status, text := call(t, c, http.MethodPut, registration+"/"+is.ID+"/subscription/"+s.ID, string(encode(s)))
				require.Equal(t, http.StatusCreated, status, text)
			}
			require.Eventually(t, func() bool {
				return !slices.ContainsFunc(two.current(), func(s Subscription) bool { return len(s.Filter.Stages) != 2 })
			}, patience, time.Millisecond)
			for i := range 3 {
				requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", fmt.Sprint("carts-", i), "delivery", nil)))
			}
			require.Equal(t, map[string]int{"dev": 6, "hardening": 6}, perStage(two.Received()))
			require.Equal(t, map[string]int{"production": 3}, stages(one))
			lives(t, 0, runs...)
		})
	}
}

// contractRemoteCut: planes that speak HTTP alone, for longer than a ping may fail
// and ten polls, with a task under way, one triggered before, and one meanwhile.
func contractRemoteCut(t *testing.T) {
	for _, release := range []string{Release019, Release14} {
		t.Run(release, func(t *testing.T) {
			p := Project{Name: "sockshop", Stages: []Stage{{"production", []string{"deployment", "test"}}}}
			clock := Clock{Second: 10 * time.Millisecond}
			f, c, _ := behind(t, slow(0), p, nil)
			at := siteOf(f, "second", clock)
			begun, done := make(chan struct{}, 10), make(chan struct{})
			far, sdk := at.remoteDistributor("deployment"), at.remoteSDK("test")
			far.Release, sdk.Release = release, release
			far.Work = func(context.Context, Event) map[string]any { begun <- struct{}{}; <-done; return nil }
			runs := []*Process{Start(t, far), Start(t, sdk)}
			post := func(name string) string { return c.Post(t, Trigger("sockshop", "production", name, "delivery", nil)) }
			all := []string{post("one")}
			select {
			case <-begun:
			case <-time.After(patience):
				require.Fail(t, "the task does not arrive")
			}
			all = append(all, post("two"))
			f.Cut("second")
			f.Down("second")
			all = append(all, post("three"))
			close(done)
			lives(t, clock.of(3*time.Minute), runs...)
			f.Heal("second")
			for _, shkeptncontext := range all {
				requireOnce(t, c, p, shkeptncontext)
			}
			lives(t, 0, runs...)
			require.Len(t, far.Received(), 3)
			require.Len(t, sdk.Received(), 3)
		})
	}
}

// contractRegistration: what has no name or no namespace is refused in the stamp;
// when Keptn has forgotten a plane it is registered again, and the plane does not
// notice.
func contractRegistration(t *testing.T) {
	f, c, _ := behind(t, slow(0), shop(), nil)
	at := siteOf(f, "first", quick)
	near, far := at.distributor("deployment"), at.remoteSDK("test")
	runs := []*Process{Start(t, near), Start(t, far)}
	heard(t, near)
	before := shown(t, c)
	require.Len(t, before, 2)
	for _, edit := range []func(*Integration){
		func(i *Integration) { i.Name = "" },
		func(i *Integration) { i.Metadata.Kubernetes.Namespace = "" },
		func(i *Integration) { i.Name, i.Metadata.Kubernetes.Namespace = "", "" },
	} {
		i := far.registration()
		edit(&i)
		var refusal apiError
		require.Equal(t, http.StatusBadRequest, at.ask(t, "sdk", http.MethodPost, uniformPath, i, &refusal))
		require.Equal(t, 400, refusal.Code)
		inCluster := newClient("", "", InCluster(at.face))
		_, err := inCluster.register(t.Context(), i)
		inCluster.close()
		require.ErrorContains(t, err, refusal.Message)
	}
	require.Len(t, shown(t, c), 2)

	id := func() []string {
		near.mu.Lock()
		defer near.mu.Unlock()
		return []string{near.id, far.id}
	}
	ids, subscriptions := id(), [][]Subscription{near.current(), far.current()}
	for _, i := range before {
		c.Store.uniform.remove(i.ID)
	}
	require.Eventually(t, func() bool { return len(c.Store.Integrations()) == 2 }, patience, time.Millisecond)
	for key, was := range before {
		require.Eventually(t, func() bool { return len(shown(t, c)[key].Subscriptions) == len(was.Subscriptions) }, patience, time.Millisecond)
		require.Equal(t, was.Subscriptions, shown(t, c)[key].Subscriptions, key)
	}
	lives(t, quick.of(20*time.Second), runs...)
	require.Equal(t, ids, id())
	require.Equal(t, subscriptions, [][]Subscription{near.current(), far.current()})
	pod(t, f, "second", nil)
	requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
}

// contractTypes: what real Keptn never shows to those who poll: get-sli.triggered,
// patterns, and what is no .triggered.
func contractTypes(t *testing.T) {
	f, c, _ := behind(t, slow(0), shop(), nil)
	at := siteOf(f, "first", quick)
	const getSLI, gone = "sh.keptn.event.get-sli.triggered", "sh.keptn.event.service.delete.finished"
	all, some := at.remoteDistributor(""), at.remoteSDK("")
	all.PubSubTopic = "sh.keptn.event.*.triggered"
	some.PubSubTopic = gone + "," + finished
	runs := []*Process{Start(t, all), Start(t, some)}
	pod(t, f, "second", nil)
	shkeptncontext := c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	requireOnce(t, c, shop(), shkeptncontext)
	require.Equal(t, map[string]int{"dev": 2, "hardening": 2}, stages(all))

	answer := f.Tap("control", "sh.keptn.event.get-sli.finished", "")
	f.Publish("control", getSLI, eventOf(getSLI, "sli", "dev"))
	require.Equal(t, "sli", must(ParseEvent(answer.Next().Data)).TriggeredID)
	f.Publish("control", gone, fmt.Appendf(nil, `{"specversion":"1.0","id":"gone","source":"shipyard-controller","type":%q,"shkeptncontext":"k",`+
		`"data":{"project":"sockshop","service":"carts"}}`, gone))
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(some.Received(), func(e Event) bool { return e.ID == "gone" })
	}, patience, time.Millisecond)
	got := map[string]int{}
	for _, e := range some.Received() {
		got[e.TypeName()]++
	}
	require.Equal(t, 1, got[gone])
	require.GreaterOrEqual(t, got[finished], 2, "of its own stages")
	lives(t, 0, runs...)
}
