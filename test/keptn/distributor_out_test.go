package keptn

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// local calls the distributor as its service does, with curl, and returns the
// status.
func local(t testing.TB, p *Pod, method, path string, body io.Reader) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.Proxy()+path, body)
	require.NoError(t, err)
	req.Header.Set("User-Agent", "curl/7.88.1")
	req.Header.Set("Accept", "*/*")
	c := http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestDistributorEscapesResources(t *testing.T) {
	t.Parallel()
	const call = "/resource-service/v1/project/p/resource/helm%2Fc.tgz?gitCommitID="
	u, err := url.Parse(call)
	require.NoError(t, err)
	to, ok := (&Distributor{}).upstream(u)
	require.True(t, ok)
	require.Equal(t, "http://resource-service:8080/v1/project/p/resource/helm%2Fc.tgz?gitCommitID=", to)
	to, ok = (&Distributor{APIEndpoint: "http://gw/api"}).upstream(u)
	require.True(t, ok)
	require.Equal(t, "http://gw/api/resource-service/v1/project/p/resource/helm%252Fc.tgz?gitCommitID=", to)
	u.Path, u.RawPath = "/configuration-service/v1", ""
	_, ok = (&Distributor{}).upstream(u)
	require.False(t, ok)
}

// TestDistributorBreaksOffLongBodies: a body goes on without its length, and
// one that is longer than allowed ends in the middle.
func TestDistributorBreaksOffLongBodies(t *testing.T) {
	t.Parallel()
	type arrival struct {
		length int64
		n      int
		err    error
	}
	arrived := make(chan arrival, 2)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		arrived <- arrival{r.ContentLength, len(b), err}
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(upstream.Close)
	srv := natstest.Start(t)
	p := &Pod{Distributor: Distributor{
		Clock: quick, PubSubURL: srv.URL(), DisableRegistration: true, Hosts: InCluster(upstream.Listener.Addr().String()),
	}}
	Start(t, p)
	const path = "/resource-service/v1/project/p/resource"
	require.Equal(t, http.StatusCreated, local(t, p, http.MethodPost, path, strings.NewReader(strings.Repeat("x", 64<<10))))
	require.Equal(t, arrival{-1, 64 << 10, nil}, <-arrived)
	require.Equal(t, http.StatusInternalServerError, local(t, p, http.MethodPost, path, strings.NewReader(strings.Repeat("x", 64<<10+1))))
	require.Error(t, (<-arrived).err)
	require.Equal(t, http.StatusInternalServerError, local(t, p, http.MethodGet, "/secrets/v1", nil))
	require.Equal(t, http.StatusOK, local(t, p, http.MethodGet, "/health", nil))
}

// TestPollingDistributorTriesAgain: what the service did not take comes again
// with the next poll, and what is open comes again after a restart, though it
// has been begun.
func TestPollingDistributorTriesAgain(t *testing.T) {
	t.Parallel()
	_, c := control(t, shop())
	g := newGate(t, natstest.Addr(t)) // nobody listens there
	remote := func() *Pod {
		p := recordedPod(t, Release14)
		p.Namespace, p.APIEndpoint, p.APIToken = "keptn-exec", c.Endpoint(), Token
		p.PubSubTopic, p.HeartbeatInterval, p.PollingInterval = triggered, time.Second, time.Second
		return p
	}
	c.Store.reopen(t, encode(eventPage{Events: []Event{must(ParseEvent(event("one", "dev")))}}))
	p := remote()
	p.Recipient = "http://" + g.addr
	g.shut("")
	run := Start(t, p)
	require.Eventually(t, func() bool { return g.count() > 8 }, patience, time.Millisecond, "four tries a poll")
	run.Stop()
	for range 2 {
		p = remote()
		run = Start(t, p)
		require.Equal(t, []string{"one"}, awaitReceived(t, p, 1))
		run.Stop()
	}
}

// TestNATSDistributorTriesOnce: there is no next poll.
func TestNATSDistributorTriesOnce(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	g := newGate(t, natstest.Addr(t))
	g.shutFor("", 4)
	p := &Pod{Distributor: Distributor{
		Clock: quick, PubSubURL: srv.URL(), PubSubTopic: triggered, DisableRegistration: true, Recipient: "http://" + g.addr,
	}}
	Start(t, p)
	nc := srv.Connect()
	require.NoError(t, nc.Publish(triggered, event("lost", "dev")))
	require.Eventually(t, func() bool { return g.count() == 4 }, patience, time.Millisecond)
	g.shutFor("", 4)
	require.NoError(t, nc.Publish(triggered, event("as well", "dev")))
	require.Eventually(t, func() bool { return g.count() == 8 }, patience, time.Millisecond)
}
