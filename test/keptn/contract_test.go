package keptn

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// TestContract is the checklist of what a gateway has to stand, by its numbers.
// What another test shows is named there and not shown again.
func TestContract(t *testing.T) {
	for _, point := range []struct {
		name      string
		show      func(t *testing.T)
		elsewhere []string
	}{
		{"1 distributors of both releases", contractDistributor, []string{"test/keptn.TestNATSDistributorAsRecorded", "bridge/tunnel.TestTargetIsKeptByteForByte"}},
		{"1 by the faces", contractFaces, []string{"test/keptn.TestRemoteDistributorAsRecorded"}},
		{"2 services of both releases", contractService, []string{"test/keptn.TestServiceFiltersByRelease"}},
		{"2 by HTTP", contractRemoteService, nil},
		{"3 the same integration in two stamps", contractTwins, []string{"test/keptn.TestTwoStampsAreOneIntegration", "test/e2e.TestEachStampGetsItsOwn", "test/keptn.TestPartC"}},
		{"4 copies, a wrong order and a cut", contractCopies, []string{"test/keptn.TestCopiesAreDoneOnce", "test/e2e.TestFinishedWaitsForEveryStart"}},
		{"5 a cut uplink", contractCut, []string{"test/keptn.TestTriggeredOutlivesACut", "test/keptn.TestFinishedOutlivesACut"}},
		{"5 by HTTP", contractRemoteCut, []string{"test/keptn.TestPartC"}},
		{"6 poison", contractPoison, []string{"test/e2e.TestBadInputIsSetAside", "bridge/tunnel.TestTruncatedBodies"}},
		{"7 registration", contractRegistration, []string{"gateway.TestRegistrationsAreRefused", "gateway.TestForgottenPlanesComeBack"}},
		{"8 names", contractNames, []string{"test/e2e.TestOnlyOurSubjectsCross", "test/e2e.TestBodiesArriveByteForByte"}},
		{"9 types that Keptn does not show", contractTypes, []string{"test/keptn.TestLifeCycleReachesWhoSubscribes"}},
		{"10 the tunnel", nil, []string{
			"bridge/tunnel.TestBodiesCross", "bridge/tunnel.TestGzipIsUntouched", "bridge/tunnel.TestTargetIsKeptByteForByte",
			"bridge/tunnel.TestLimitsCountRealBytes",
		}},
	} {
		t.Run(point.name, func(t *testing.T) {
			for _, name := range point.elsewhere {
				requireTest(t, name)
			}
			if point.show != nil {
				point.show(t)
			}
		})
	}
}

// requireTest requires that there is a test with a name such as
// test/e2e.TestBadInputIsSetAside.
func requireTest(t *testing.T, name string) {
	t.Helper()
	folder, function, ok := strings.Cut(name, ".")
	require.True(t, ok)
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file) //nolint:gosec // of this repository
		require.NoError(t, err)
		if strings.Contains(string(b), "\nfunc "+function+"(t *testing.T)") {
			return
		}
	}
	require.Fail(t, "no such test", name)
}

// resources serves as resource-service and remembers what it was asked for.
type resources struct {
	addr string
	mu   sync.Mutex // guards asked
	got  []string
}

func newResources(t *testing.T) *resources {
	t.Helper()
	r := &resources{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, q.RequestURI)
		_, _ = io.WriteString(w, `{"resourceURI":"helm/c.tgz","resourceContent":"eA=="}`)
	}))
	t.Cleanup(s.Close)
	r.addr = s.Listener.Addr().String()
	return r
}

func (r *resources) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// contractDistributor: NATS mode; its calls go to Keptn directly.
func contractDistributor(t *testing.T) {
	for _, release := range []string{Release019, Release14} {
		t.Run(release, func(t *testing.T) {
			f, c := federation(t)
			files := newResources(t)
			const call = "/v1/project/sockshop/stage/dev/service/carts/resource/helm%2Fc.tgz?gitCommitID="
			p := recordedPod(t, release)
			p.Namespace, p.Hosts, p.PubSubURL = "keptn-exec", InCluster(c.Internal), f.Stamp("first").URL()
			p.Hosts["resource-service:8080"] = files.addr
			p.Work = func(context.Context, Event) map[string]any {
				resp, err := http.Get("http://" + p.Proxy() + "/resource-service" + call)
				if err == nil {
					_ = resp.Body.Close()
				}
				return nil
			}
			run := Start(t, p)
			heard(t, p)
			pod(t, f, "second", nil)
			requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
			run.Alive(t)
			require.Len(t, p.Received(), 4)
			require.Len(t, c.Store.Integrations(), 1)
			require.Equal(t, []string{call, call, call, call}, files.asked())
		})
	}
}

// contractService: NATS mode; a filter of a registration is Keptn's to keep, and
// for planes that talk NATS in the stamp by its stages.
func contractService(t *testing.T) {
	for _, release := range []string{Release019, Release14} {
		t.Run(release, func(t *testing.T) {
			f, c := federation(t)
			s := recordedSDK(release)
			s.Hosts, s.EventBroker, s.PubSubTopic = InCluster(c.Internal), f.Stamp("first").URL(), triggered+",sh.keptn.event.test.triggered"
			s.Handler = func(_ context.Context, e Event) map[string]any {
				d := must2(e.Of())
				return map[string]any{"project": d.Project, "stage": d.Stage, "service": d.Service}
			}
			run := Start(t, s)
			second := pod(t, f, "second", nil)
			requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
			run.Alive(t)
			require.Len(t, s.Received(), 4, "of the two stages of its stamp")
			require.Equal(t, map[string]int{"production": 1}, stages(second))
		})
	}
}

// contractTwins: everything is the same but the stamp, and each does its own
// tasks, once.
func contractTwins(t *testing.T) {
	f, c := federation(t)
	twin := func(url string) *Pod {
		p := recordedPod(t, Release14)
		p.Namespace, p.Hosts, p.PubSubURL = "keptn-exec", InCluster(c.Internal), url
		Start(t, p)
		heard(t, p)
		return p
	}
	first, second := twin(f.Stamp("first").URL()), twin(f.Stamp("second").URL())
	for i := range 3 {
		requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", fmt.Sprint("carts-", i), "delivery", nil)))
	}
	require.Equal(t, map[string]int{"dev": 6, "hardening": 6}, stages(first))
	require.Equal(t, map[string]int{"production": 3}, stages(second))
}

// contractCopies: a plane that says everything twice, and in the wrong order,
// with a cut between.
func contractCopies(t *testing.T) {
	f, c := federation(t)
	pod(t, f, "first", nil)
	tasks := f.Tap("second", triggered, "")
	echo := f.Tap("control", triggered, "")
	for i, order := range [][2]string{{kindStarted, kindFinished}, {kindFinished, kindStarted}} {
		shkeptncontext := c.Post(t, Trigger("sockshop", "dev", fmt.Sprint("carts-", i), "delivery", nil))
		task := must(ParseEvent(tasks.Next().Data))
		for range 3 { // of each stage; of the last one a copy
			if m := echo.Next(); must(ParseEvent(m.Data)).ID == task.ID {
				f.Publish("control", triggered, m.Data)
			}
		}
		say := func(kind string) {
			typ, source := strings.TrimSuffix(triggered, kindTrig)+kind, "helm-service"
			d := must2(task.Of())
			d.Result, d.Status = pass, succeeded
			body := encode(Event{
				ID: newID(), Source: &source, Type: &typ, SpecVersion: "1.0", Time: time.Now(),
				Context: task.Context, TriggeredID: task.ID, Data: encode(d),
			})
			f.Publish("second", typ, body, body)
		}
		say(order[0])
		f.Cut("second")
		f.Down("second")
		say(order[1])
		f.Heal("second")
		requireOnce(t, c, shop(), shkeptncontext)
		require.Equal(t, task.ID, must(ParseEvent(echo.Next().Data)).ID, "the copy")
	}
}

// contractCut: the uplink of a stamp is down while tasks are under way, begin and
// end. No client ends, and everything is done once.
func contractCut(t *testing.T) {
	f, c := federation(t)
	first := pod(t, f, "first", nil)
	at, done := make(chan struct{}, 10), make(chan struct{})
	second := &Pod{Work: func(context.Context, Event) map[string]any { at <- struct{}{}; <-done; return nil }, Distributor: Distributor{
		Clock: quick, PubSubURL: f.Stamp("second").URL(), PubSubTopic: "sh.keptn.event.*.triggered", PubSubGroup: "helm-service", DisableRegistration: true,
	}}
	run := Start(t, second)
	post := func(n int) (out []string) {
		for i := range n {
			out = append(out, c.Post(t, Trigger("sockshop", "dev", fmt.Sprintf("carts-%d-%d", n, i), "delivery", nil)))
		}
		return out
	}
	reached := func(n int) {
		require.Eventually(t, func() bool {
			count := 0
			for _, s := range c.Store.Sequences() {
				if s.Stage == "production" && len(s.Tasks) == 1 {
					count++
				}
			}
			return count == n
		}, patience, time.Millisecond)
	}
	contexts := post(1) // under way
	<-at
	contexts = append(contexts, post(2)...)
	reached(3) // triggered just before the cut
	f.Cut("second")
	f.Down("second")
	contexts = append(contexts, post(3)...)
	reached(6)
	close(done)
	f.Heal("second")
	for _, shkeptncontext := range contexts {
		requireOnce(t, c, shop(), shkeptncontext)
	}
	run.Alive(t)
	require.Equal(t, map[string]int{"production": 6}, stages(second))
	require.Equal(t, map[string]int{"dev": 12, "hardening": 12}, stages(first))
}

// contractPoison: what would crash or hang Keptn's programs on the other side
// reaches none of them.
func contractPoison(t *testing.T) {
	good := string(eventOf(finished, "poison", "dev"))
	poison := []string{
		"{}", "no JSON", strings.Replace(good, `"source":"shipyard-controller",`, "", 1), strings.Replace(good, `"type":"`+finished+`"`, `"x":"y"`, 1),
		strings.Replace(good, `"data":{`, `"data":{"labels":{"build":42},`, 1),
	}
	for _, p := range poison {
		require.NotEqual(t, good, p)
	}
	f := fed.New(t, world)
	c := &ControlPlane{NATS: f.Stamp("control").URL(), Store: NewStore(Clock{Second: 200 * time.Millisecond}, shop())}
	run := Start(t, c)
	for _, p := range poison { // before anybody in that stamp would die of it
		f.Publish("first", finished, []byte(p))
	}
	f.Publish("first", finished, []byte(strings.Replace(good, `"data":{`, `"data":{"x":"`+strings.Repeat("y", 1_500_000)+`",`, 1)))
	pod(t, f, "first", nil)
	pod(t, f, "second", nil)
	requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
	run.Alive(t)

	// The other way: this stamp's own Keptn would die of it, so it has ended.
	run.Stop()
	for _, p := range poison {
		f.Publish("control", triggered, []byte(strings.ReplaceAll(p, finished, triggered)))
	}
	listener := f.Tap("first", triggered, "")
	last := event("last", "dev")
	f.Publish("control", triggered, last)
	require.Equal(t, string(last), string(listener.Next().Data), "and nothing before it")
}

// contractNames: nothing of ours is where Keptn's names are.
func contractNames(t *testing.T) {
	f, c := federation(t)
	seen := f.Tap("second", allSubjects, "")
	pod(t, f, "first", nil)
	pod(t, f, "second", nil)
	requireOnce(t, c, shop(), c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
	for range 4 { // a task, the two answers, and the end of the sequence
		m := seen.Next()
		require.Equal(t, m.Subject, must(ParseEvent(m.Data)).TypeName())
	}
	streams := map[string]int{}
	require.NoError(t, filepath.WalkDir(f.Dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "meta.inf" || filepath.Base(filepath.Dir(filepath.Dir(path))) != "streams" {
			return nil //nolint:nilerr // what has gone meanwhile is no stream
		}
		b, err := os.ReadFile(path) //nolint:gosec // of the test
		if err != nil {
			return err
		}
		var config struct {
			Name     string
			Subjects []string
		}
		require.NoError(t, json.Unmarshal(b, &config))
		streams[config.Name]++
		for _, subject := range config.Subjects {
			if config.Name != "keptn" {
				require.True(t, strings.HasPrefix(strings.TrimPrefix(config.Name, "KV_"), "RW_"), config.Name) // or of a bucket
				first, _, _ := strings.Cut(subject, ".")
				require.NotContains(t, []string{"sh", "*", ">"}, first, "%s: %s", config.Name, subject)
			}
		}
		return nil
	}))
	require.Equal(t, 1, streams["keptn"])
	require.Equal(t, 3, streams["RW_IN"])
}
