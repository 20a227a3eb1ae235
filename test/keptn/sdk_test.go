package keptn

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// recordedSDK is the service of the recordings.
func recordedSDK(release string) *SDK {
	return &SDK{
		Clock: quick, Release: release, Name: "sdk-task-service", PubSubTopic: triggered, Namespace: "keptn",
		Node: "node-1", Pod: "my-sdk-task-abc", Deployment: "my-sdk-task", Version: "1.2.3",
	}
}

// handled waits until a service has handled n events and returns their ids.
func handled(t testing.TB, s *SDK, n int) []string {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.Received()) >= n }, patience, time.Millisecond)
	var out []string
	for _, e := range s.Received() {
		out = append(out, e.ID)
	}
	return out
}

// recordedConnector is the service of the recordings that uses cp-connector.
func recordedConnector(string) *SDK {
	s := recordedSDK(Release14)
	s.Connector, s.Name, s.Deployment, s.Pod, s.Version = true, "cpc-task-service", "cpc-task-service", "my-cpc-task-abc", "dev"
	return s
}

func TestNATSServiceAsRecorded(t *testing.T) {
	t.Parallel()
	for folder, service := range map[string]func(string) *SDK{"sdk-task-nats": recordedSDK, "cpc-task-nats": recordedConnector} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			want := recordedRequests(t, folder, "http-controlplane-wire.txt")
			recordings := messages(t, folder)
			srv, c := control(t, shop())
			wire, bus := newTap(t, c.Internal), newTap(t, srv.Addr().String())
			s := service(Release14)
			s.Hosts, s.EventBroker = InCluster(wire.addr), "nats://"+bus.addr
			all := listen(t, srv, "sh.keptn.event.deployment.*")
			Start(t, s)
			for _, parts := range [][]string{{"POST", "registration"}, {"PUT", "/ping"}} {
				sameRequest(t, find(want, parts...), wire.await(t, parts...))
			}
			require.Contains(t, bus.text(), "SUB sh.keptn.event.deployment.triggered "+s.Name+" 1\r\n")
			for range 2 { // the same event twice runs twice
				require.NoError(t, srv.Connect().Publish(recordings[0].Subject, []byte(recordings[0].Data)))
			}
			got := map[string][]string{}
			for range len(recordings) {
				m, err := all.NextMsg(patience)
				require.NoError(t, err, "after %v; handled %d", got, len(s.Received()))
				require.Empty(t, m.Header)
				got[m.Subject] = append(got[m.Subject], string(m.Data))
			}
			for _, r := range recordings {
				same(t, []byte(r.Data), []byte(got[r.Subject][0]), true)
				got[r.Subject] = got[r.Subject][1:]
			}
			require.Equal(t, []string{eventID, eventID}, handled(t, s, 2))
			require.Contains(t, string(s.Received()[0].Data), `"subscriptionID":"`)
		})
	}
}

func TestRemoteServiceAsRecorded(t *testing.T) {
	t.Parallel()
	for folder, service := range map[string]func(string) *SDK{"sdk-task-remote": recordedSDK, "cpc-task-remote": recordedConnector} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			want := recordedRequests(t, folder, "http-controlplane-wire.txt")
			_, c := control(t, shop())
			reopenRecorded(t, c, folder)
			wire := newTap(t, c.Public)
			s := service(Release14)
			s.Namespace, s.Location = "keptn-exec", "remote-execution-plane"
			s.APIEndpoint, s.APIToken, s.Hosts = "http://127.0.0.1:18180/api", Token, Hosts{"127.0.0.1:18180": wire.addr}
			Start(t, s)
			for _, parts := range [][]string{
				{"POST", "/uniform/registration "},
				{"PUT", "/ping"},
				{"GET", "deployment.triggered"},
				{"POST", "/event ", "deployment.started"},
				{"POST", "/event ", "deployment.finished"},
			} {
				sameRequest(t, find(want, parts...), wire.await(t, parts...))
			}
			require.Equal(t, []string{eventID}, handled(t, s, 1))
			require.Len(t, c.Store.Open(triggered), 1, "started and finished, but of no sequence")
		})
	}
}

func TestServiceFiltersByRelease(t *testing.T) {
	t.Parallel()
	for release, want := range map[string][]string{Release019: {"dev", "hardening"}, Release14: {"dev", "hardening", "production"}} {
		t.Run(release, func(t *testing.T) {
			_, c := control(t, shop())
			s := recordedSDK(release)
			s.APIEndpoint, s.APIToken, s.PubSubTopic = c.Endpoint(), Token, ""
			Start(t, s)
			id := c.Store.Integrations()[0].ID
			status, _ := call(t, c, http.MethodPost, registration+"/"+id+"/subscription",
				`{"event":"`+triggered+`","filter":{"stages":["dev","hardening"]}}`)
			require.Equal(t, http.StatusCreated, status)
			require.Eventually(t, func() bool { return len(s.current()) == 1 }, patience, time.Millisecond)
			page := eventPage{}
			for i, stage := range []string{"production", "hardening", "dev"} { // oldest first
				e, err := ParseEvent(event(stage, stage))
				require.NoError(t, err)
				e.Time = time.Now().Add(time.Duration(i-10) * time.Second)
				page.Events = append(page.Events, e)
			}
			c.Store.reopen(t, encode(page))
			require.Equal(t, want, handled(t, s, len(want)))
		})
	}
}

func TestServiceDropsWhatDoesNotMatch(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	s := recordedSDK(Release14)
	s.Hosts, s.EventBroker, s.PubSubTopic = InCluster(c.Internal), srv.URL(), ""
	Start(t, s)
	id := c.Store.Integrations()[0].ID
	status, _ := call(t, c, http.MethodPost, registration+"/"+id+"/subscription", `{"event":"`+triggered+`","filter":{"stages":["dev"]}}`)
	require.Equal(t, http.StatusCreated, status)
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.subs) == 1
	}, patience, time.Millisecond)
	nc := srv.Connect()
	require.NoError(t, nc.Publish(triggered, event("other", "prod")))
	require.NoError(t, nc.Publish(triggered, event("mine", "dev")))
	require.Equal(t, []string{"mine"}, handled(t, s, 1))
}

func TestServiceDiesOfAnEventWithoutType(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	s := recordedSDK(Release14)
	s.Hosts, s.EventBroker = InCluster(c.Internal), srv.URL()
	run := Start(t, s)
	nc := srv.Connect()
	require.NoError(t, nc.Publish(triggered, []byte(`not JSON`)))
	require.NoError(t, nc.Publish(triggered, []byte(`{"type":"x","time":"yesterday"}`)))
	require.NoError(t, nc.Publish(triggered, event("fine", "dev")))
	handled(t, s, 1)
	run.Alive(t)
	require.NoError(t, nc.Publish(triggered, []byte(`{"id":"1","source":"x"}`)))
	require.Equal(t, 2, run.Exit(t).Code)
}

func TestServiceDiesOfTenFailedPolls(t *testing.T) {
	t.Parallel()
	_, c := control(t, shop())
	g := newGate(t, c.Public)
	s := recordedSDK(Release14)
	s.Clock, s.APIEndpoint, s.APIToken = Clock{Second: 2 * time.Millisecond}, "http://"+g.addr+"/api", Token
	run := Start(t, s)
	g.shutFor("/event/triggered/", 15) // five polls, three tries each
	require.Eventually(t, func() bool { return g.count() == 15 }, patience, time.Millisecond)
	run.Alive(t)
	c.Store.reopen(t, encode(eventPage{Events: []Event{must(ParseEvent(event("between", "dev")))}}))
	handled(t, s, 1) // and it works again
	g.shut("/event/triggered/")
	exit := run.Exit(t)
	require.Equal(t, "ten polls failed", exit.Why, "the count is never reset")
	require.Equal(t, 30, g.count())
}

func must(e Event, err error) Event {
	if err != nil {
		panic(err)
	}
	return e
}

func TestServiceDiesOfFailedPings(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	g := newGate(t, c.Internal)
	s := recordedSDK(Release14)
	s.Hosts, s.EventBroker, s.Clock = InCluster(g.addr), srv.URL(), Clock{Second: 5 * time.Millisecond}
	run := Start(t, s)
	g.shut("/ping")
	require.Equal(t, "ping fails", run.Exit(t).Why)
	require.Equal(t, 10, g.count())
}

func TestServiceRegistersOnce(t *testing.T) {
	t.Parallel()
	srv, c := control(t, shop())
	s := recordedSDK(Release14)
	s.Hosts, s.EventBroker, s.Node = InCluster(c.Internal), srv.URL(), ""
	require.Contains(t, Launch(t, s).Exit(t).Error(), "incomplete integration ID")
	s = recordedSDK(Release14)
	s.Hosts, s.EventBroker = InCluster(c.Internal), "nats://"+natstest.Addr(t)
	require.Equal(t, "no NATS", Launch(t, s).Exit(t).Why)
}
