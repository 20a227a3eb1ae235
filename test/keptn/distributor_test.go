package keptn

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

const (
	triggered = "sh.keptn.event.deployment.triggered"
	finished  = "sh.keptn.event.deployment.finished"
)

// eventID is the id of the event of the recordings.
const eventID = "11111111-2222-4333-8444-555555555555"

// integration finds the id of an integration, and lengths, which depend on the
// digits of a time.
var integration = regexp.MustCompile(`registration/[0-9a-f]{40}/|registration/fake\d+/|Content-Length: \d{3}|"integrationid":"[^"]*"`)

// sameRequest requires that two requests are equal, byte by byte but for ids
// and times.
func sameRequest(t testing.TB, want, got string) {
	t.Helper()
	plain := func(s string) string {
		return volatile.ReplaceAllString(integration.ReplaceAllString(s, "*"), `$1"*"`)
	}
	require.NotEmpty(t, want)
	require.Equal(t, plain(want), plain(got))
}

// recordedPod is the pod of the recordings, whose calls to Keptn and to the
// service go by taps.
func recordedPod(t testing.TB, release string) *Pod {
	t.Helper()
	return &Pod{Distributor: Distributor{
		Clock: quick, Release: release,
		PubSubTopic: "sh.keptn.event.deployment.triggered,sh.keptn.event.test.triggered", PubSubGroup: "carts-group",
		Name: "my-deploy-service", Node: "node-1", Pod: "my-deploy-service-abc", Version: "1.2.3",
	}}
}

// reopenRecorded opens the events that a recording shows as open.
func reopenRecorded(t testing.TB, c *ControlPlane, folder string) {
	t.Helper()
	for _, x := range exchanges(t, folder, "http-controlplane-wire.txt") {
		if strings.Contains(string(x.reply), `"events":[{`) {
			c.Store.reopen(t, x.reply)
			return
		}
	}
}

func TestRemoteDistributorAsRecorded(t *testing.T) {
	t.Parallel()
	for _, release := range []string{Release019, Release14} {
		t.Run(release, func(t *testing.T) {
			folder := "distributor-remote-" + release
			want := recordedRequests(t, folder, "http-controlplane-wire.txt")
			_, c := control(t, shop())
			reopenRecorded(t, c, folder)
			wire := newTap(t, c.Public)
			p := recordedPod(t, release)
			p.Namespace, p.DistributorVersion = "keptn-exec", release
			p.ProjectFilter, p.StageFilter, p.ServiceFilter = "sockshop", "dev,staging", "carts"
			p.APIEndpoint, p.APIToken, p.Hosts = "http://127.0.0.1:18180/api", Token, Hosts{"127.0.0.1:18180": wire.addr}
			Start(t, p)
			for _, parts := range [][]string{
				{"POST", "/uniform/registration "},
				{"PUT", "/ping"},
				{"GET", "deployment.triggered"},
				{"GET", "test.triggered"},
				{"POST", "/event ", "deployment.started"},
				{"POST", "/event ", "deployment.finished"},
			} {
				sameRequest(t, find(want, parts...), wire.await(t, parts...))
			}
			requireDelivered(t, folder, p)
			boom := `{"type":"sh.keptn.log.error","source":"sink-service","specversion":"1.0","id":"1",` +
				`"shkeptncontext":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee","data":{"message":"boom","task":"deployment"}}`
			require.Equal(t, http.StatusOK, local(t, p, http.MethodPost, "/event", strings.NewReader(boom)))
			sameRequest(t, find(want, "POST", "/v1/log"), wire.await(t, "POST", "/v1/log"))
			require.Empty(t, find(wire.requests(), "/v1/event", "sh.keptn.log.error"), "not forwarded as an event")
			for path, parts := range map[string][]string{
				"/resource-service/v1/project/sockshop/stage/dev/service/carts/resource/helm%2Fcarts.tgz": {"GET", "/resource/"},
				"/mongodb-datastore/event?keptnContext=abc&type=sh.keptn.event.deployment.finished":       {"GET", "/mongodb-datastore/"},
				"/controlPlane/v1/event/triggered/sh.keptn.event.deployment.triggered?project=sockshop":   {"GET", "?project=sockshop HTTP"},
			} {
				local(t, p, http.MethodGet, path, nil)
				sameRequest(t, find(want, parts...), wire.await(t, parts...))
			}
		})
	}
}

func TestNATSDistributorAsRecorded(t *testing.T) {
	t.Parallel()
	for _, release := range []string{Release019, Release14} {
		t.Run(release, func(t *testing.T) {
			folder := "distributor-nats-" + release
			want := recordedRequests(t, folder, "http-controlplane-wire.txt")
			recordings := messages(t, folder)
			srv, c := control(t, shop())
			wire, bus := newTap(t, c.Internal), newTap(t, srv.Addr().String())
			p := recordedPod(t, release)
			p.Namespace, p.Hosts, p.PubSubURL = "keptn", InCluster(wire.addr), "nats://"+bus.addr
			all := listen(t, srv, "sh.keptn.event.deployment.*")
			require.NoError(t, all.SetPendingLimits(-1, -1))
			Start(t, p)
			sameRequest(t, find(want, "POST", "registration"), wire.await(t, "POST", "registration"))
			sameRequest(t, find(want, "PUT", "/ping"), wire.await(t, "PUT", "/ping"))
			heard(t, p)
			require.NoError(t, srv.Connect().Publish(recordings[0].Subject, []byte(recordings[0].Data)))
			got := map[string]string{}
			for len(got) < 3 {
				m, err := all.NextMsg(patience)
				require.NoError(t, err)
				require.Empty(t, m.Header)
				got[m.Subject] = string(m.Data)
			}
			for _, r := range recordings[1:3] {
				same(t, []byte(r.Data), []byte(got[r.Subject]), true)
			}
			requireDelivered(t, folder, p)
			for line := range strings.SplitSeq(recorded(t, folder, "nats-wire.txt"), "\n") {
				if strings.HasPrefix(line, "SUB ") {
					require.Contains(t, bus.text(), strings.Replace(line, `\r\n`, "\r\n", 1))
				}
			}
		})
	}
}

// requireDelivered requires that the service was given the event of the
// recordings, once and as recorded.
func requireDelivered(t testing.TB, folder string, p *Pod) {
	t.Helper()
	require.Len(t, p.Received(), 1)
	require.Equal(t, eventID, p.Received()[0].ID)
	require.Equal(t, "application/cloudevents+json", exchanges(t, folder, "http-recipient-wire.txt")[0].header.Get("Content-Type"))
	body, err := p.Received()[0].sdk()
	require.NoError(t, err)
	same(t, exchanges(t, folder, "http-recipient-wire.txt")[0].body, body, false)
}

// heard waits until a distributor has its subscriptions from a ping.
func heard(t testing.TB, p *Pod) {
	t.Helper()
	require.Eventually(t, func() bool { return len(p.current()) > 0 }, patience, time.Millisecond)
}

// event returns a .triggered event of a stage.
func event(id, stage string) []byte { return eventOf(triggered, id, stage) }

// eventOf is event with another type.
func eventOf(typ, id, stage string) []byte {
	source := "shipyard-controller"
	return encode(Event{
		ID: id, Source: &source, Type: &typ, SpecVersion: "1.0", Time: time.Now(), Context: newID(),
		Data: encode(Data{Project: "sockshop", Stage: stage, Service: "carts"}),
	})
}

// awaitReceived waits until the service was given n events and returns their
// ids.
func awaitReceived(t testing.TB, p *Pod, n int) []string {
	t.Helper()
	require.Eventually(t, func() bool { return len(p.Received()) >= n }, patience, time.Millisecond)
	var out []string
	for _, e := range p.Received() {
		out = append(out, e.ID)
	}
	return out
}

func TestDistributorSwallowsUntilItsFirstPing(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	p := recordedPod(t, Release14)
	g := newGate(t, c.Internal)
	g.shut("/ping")
	p.Namespace, p.Hosts, p.PubSubURL = "keptn", InCluster(g.addr), srv.URL()
	p.HeartbeatInterval = 15 * time.Second // of the clock, as all
	Start(t, p)
	nc := srv.Connect()
	require.NoError(t, nc.Publish(triggered, event("swallowed", "dev")))
	require.NoError(t, nc.Flush())
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		n, err := p.nats.subs[0].Delivered()
		return err == nil && n == 1
	}, patience, time.Millisecond)
	g.open()
	heard(t, p)
	require.NoError(t, nc.Publish(triggered, event("delivered", "dev")))
	require.Equal(t, []string{"delivered"}, awaitReceived(t, p, 1))
}

func TestDistributorDiesOfMissedPings(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	p := recordedPod(t, Release14)
	p.Namespace, p.Hosts, p.PubSubURL = "keptn", InCluster(c.Internal), srv.URL()
	p.HeartbeatInterval = time.Second
	run := Start(t, p)
	heard(t, p)
	id := c.Store.Integrations()[0].ID
	status, _ := call(t, c, http.MethodDelete, registration+"/"+id, "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 1, run.Exit(t).Code, "it never registers again by itself")
	require.Empty(t, c.Store.Integrations())
}

func TestDistributorNeedsNATSAtBoot(t *testing.T) {
	t.Parallel()
	_, c := control(t, shop())
	p := recordedPod(t, Release14)
	p.Namespace, p.Hosts, p.PubSubURL = "keptn", InCluster(c.Internal), "nats://"+natstest.Addr(t)
	require.Equal(t, 1, Launch(t, p).Exit(t).Code)
	require.Len(t, c.Store.Integrations(), 1, "registered before it died")
}

func TestDistributorLosesInTheGap(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	p := recordedPod(t, Release14)
	p.Namespace, p.Hosts, p.PubSubURL = "keptn", InCluster(c.Internal), srv.URL()
	p.HeartbeatInterval = time.Second
	nc := srv.Connect()
	gaps := make(chan struct{}, 1)
	p.Gap = func() {
		_ = nc.Publish(triggered, event("lost", "dev"))
		_ = nc.Flush()
		gaps <- struct{}{}
	}
	Start(t, p)
	heard(t, p)
	id := c.Store.Integrations()[0].ID
	status, _ := call(t, c, http.MethodPost, registration+"/"+id+"/subscription", `{"event":"sh.keptn.event.release.triggered"}`)
	require.Equal(t, http.StatusCreated, status)
	<-gaps
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.nats.subs) == 3
	}, patience, time.Millisecond)
	require.NoError(t, nc.Publish(triggered, event("delivered", "dev")))
	require.Equal(t, []string{"delivered"}, awaitReceived(t, p, 1))
}

func TestDistributorWithoutRegistrationFilters(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	p := recordedPod(t, Release14)
	p.Namespace, p.PubSubURL, p.DisableRegistration, p.StageFilter = "keptn", srv.URL(), true, "dev"
	Start(t, p)
	nc := srv.Connect()
	for _, e := range [][2]string{{"other", "prod"}, {"one", "dev"}, {"one", "dev"}} {
		require.NoError(t, nc.Publish(triggered, event(e[0], e[1])))
	}
	require.NoError(t, nc.Publish(triggered, []byte(`{"type":"`+triggered+`","data":{}}`)))
	require.NoError(t, nc.Publish(triggered, []byte(`no JSON`)))
	require.Equal(t, []string{"one", "one"}, awaitReceived(t, p, 2))
	require.NotContains(t, string(p.Received()[0].Data), "temporaryData")
	require.Empty(t, c.Store.Integrations())
}

func TestDistributorKnowsCopiesForAWhile(t *testing.T) {
	t.Parallel()
	d := &Distributor{given: map[string]time.Time{}}
	require.True(t, d.first("e", true))
	require.False(t, d.first("e", true), "within 10 s")
	for release, again := range map[string]bool{Release019: false, Release14: true} {
		d := &Distributor{Clock: Clock{Second: time.Nanosecond}, Release: release, given: map[string]time.Time{}}
		require.True(t, d.first("first", false))
		require.True(t, d.first("last", true))
		require.Eventually(t, func() bool { return d.first("last", true) }, patience, time.Millisecond)
		require.Equal(t, again, d.first("first", false), "purged")
	}
}
