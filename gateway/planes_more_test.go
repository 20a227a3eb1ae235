package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/plane"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/test/keptn"
)

// TestSubscriptionsGetIDs: Keptn stores what a registration adds to one without
// subscriptions under no id, where nobody can change it any more.
func TestSubscriptionsGetIDs(t *testing.T) {
	d := openDoor(t)
	there := helm()
	there.Metadata.Kubernetes.Namespace, there.Subscriptions = "keptn-exec.first", []keptn.Subscription{}
	require.Equal(t, http.StatusCreated, d.do(t, http.MethodPost, "", there, nil))
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	is := d.shown(t)["keptn-exec.first/helm-service"]
	require.Len(t, is.Subscriptions, 1)
	require.NotEmpty(t, is.Subscriptions[0].ID)
	require.Equal(t, is.Subscriptions, p.ping(id).Subscriptions)
}

// TestPlanesAreTakenOver: a plane that registered with Keptn itself, before the
// gateway was there, goes on under the id it has.
func TestPlanesAreTakenOver(t *testing.T) {
	d := openDoor(t)
	var out struct{ ID string }
	require.Equal(t, http.StatusCreated, d.do(t, http.MethodPost, "", helm(deployment), &out))
	f := planes(t, d, "")
	for stamp, stages := range map[string][]string{"first": {"dev", "hardening"}, "second": {"production"}} {
		p := face(t, f, f.Stamp("first").ID, 0)
		if stamp == "second" {
			p = face(t, f, f.Stamp("second").ID, 0)
		}
		require.Equal(t, stages, stagesOf(t, p.ping(out.ID), deployment))
		require.Equal(t, stages, stagesOf(t, d.shown(t)["keptn-exec."+stamp+"/helm-service"], deployment))
		d.away.Store(true)
		require.Equal(t, http.StatusServiceUnavailable, p.do(http.MethodPut, "/unknown/ping", nil, nil), "who knows")
		p.ping(out.ID)
		d.away.Store(false)
		require.Eventually(t, func() bool { return f.Status(f.Stamp("first").ID).Planes.Stale == 0 }, patience, time.Millisecond)
	}
}

// TestPollersAreTakenOver: a plane that polls is who its token says, also when the
// gateway has lost what it knew; else it would be shown what its filters keep away.
func TestPollersAreTakenOver(t *testing.T) {
	d := openDoor(t)
	there := helm(deployment)
	there.Metadata.Kubernetes.Namespace = "keptn-exec.first"
	var out struct{ ID string }
	require.Equal(t, http.StatusCreated, d.do(t, http.MethodPost, "", there, &out))
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	uniform := p.URL + "/p/helm/api/controlPlane/v1/uniform/registration"
	require.Equal(t, http.StatusOK, do(t, http.MethodPut, uniform+"/"+out.ID+"/ping", nil, nil))
	r := f.Stamp("first").Gateway().Planes()
	is := r.Integrations("helm")
	require.Len(t, is, 1)
	require.Equal(t, []string{"dev", "hardening"}, is[0].Subscriptions[0].Filter.Stages)
	require.True(t, r.Polled(deployment))
	id := out.ID
	require.Equal(t, http.StatusOK, do(t, http.MethodPost, uniform, helm(deployment), &out))
	require.Equal(t, id, out.ID, "when it registers again it is the same")
	require.Len(t, d.shown(t), 1)
}

// TestPlanesFollowTheTopology: filters change with the rules, and a plane is
// taken out where nothing is left for it.
func TestPlanesFollowTheTopology(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "second", 0)
	id := p.register(helm(deployment))
	require.Equal(t, []string{"production"}, stagesOf(t, p.ping(id), deployment))
	file := filepath.Join(f.Dir, "topology.yaml")
	text, err := os.ReadFile(file) //nolint:gosec // of the test
	require.NoError(t, err)
	write := func(old, is string) {
		t.Helper()
		require.Contains(t, string(text), old)
		next := strings.Replace(string(text), old, is, 1)
		require.NoError(t, os.WriteFile(file, []byte(next), 0o600))
	}
	write("{name: production, ring: prod}", "{name: production, ring: prod}\n  - {name: canary, ring: prod, projects: [sockshop]}")
	require.Eventually(t, func() bool {
		i := d.shown(t)["keptn-exec.second/helm-service"]
		return slices.Equal([]string{"production", "canary"}, stagesOf(t, i, deployment))
	}, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool { // what it is told follows what Keptn took
		return slices.Equal([]string{"production", "canary"}, stagesOf(t, p.ping(id), deployment))
	}, patience, 5*time.Millisecond)
	write("{name: production, ring: prod}", "{name: production, ring: dev}")
	require.Eventually(t, func() bool { return len(d.shown(t)) == 0 }, patience, 5*time.Millisecond)
	p.ping(id)
	write("{name: production, ring: prod}", "{name: production, ring: prod}")
	require.Eventually(t, func() bool { return len(d.shown(t)) == 1 }, patience, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		return slices.Equal([]string{"production"}, stagesOf(t, p.ping(id), deployment))
	}, patience, 5*time.Millisecond)
}

// TestTwoControlPlanes: a plane is registered with each control plane that has
// something for its stamp, with what that has.
func TestTwoControlPlanes(t *testing.T) {
	d, other := openDoor(t), openDoor(t)
	second := fmt.Sprintf(", api: {url: %s/api}}, {name: other, stamp: control, projects: [carts]", d.URL)
	text := strings.Replace(fmt.Sprintf(planesWorld, "", second+", api: {url: "+other.URL+"/api}"),
		"{name: hardening, ring: dev}", "{name: hardening, ring: dev, projects: [carts]}", 1)
	f := fed.New(t, text, quickly)
	p := face(t, f, "first", 0)
	id := p.register(helm(deployment))
	one, two := d.shown(t)["keptn-exec.first/helm-service"], other.shown(t)["keptn-exec.first/helm-service"]
	require.Equal(t, keptn.Filter{Projects: []string{}, Stages: []string{"dev"}, Services: []string{}}, one.Subscriptions[0].Filter)
	require.Equal(t, keptn.Filter{Projects: []string{"carts"}, Stages: []string{"dev", "hardening"}, Services: []string{}}, two.Subscriptions[0].Filter)
	is := p.ping(id)
	require.Len(t, is.Subscriptions, 1, "under one id")
	require.Equal(t, keptn.Filter{Projects: []string{}, Stages: []string{"dev", "hardening"}, Services: []string{}}, is.Subscriptions[0].Filter)
	d.away.Store(true)
	require.Equal(t, http.StatusCreated, other.do(t, http.MethodPost, "/"+two.ID+"/subscription", keptn.Subscription{Event: "sh.keptn.event.x.triggered"}, nil))
	require.Eventually(t, func() bool { return len(p.ping(id).Subscriptions) == 2 }, patience, time.Millisecond)
	d.away.Store(false)
	require.Eventually(t, func() bool { return f.Status("first").Planes.Fresh == 1 }, patience, time.Millisecond)
	require.Len(t, d.shown(t)["keptn-exec.first/helm-service"].Subscriptions, 1)
}

// TestCallersAreTwoPlanes: planes are told apart by who calls, and what polls
// without having registered is registered.
func TestCallersAreTwoPlanes(t *testing.T) {
	d := openDoor(t)
	f := planes(t, d, "")
	p := face(t, f, "first", 0)
	as := func(caller string) string {
		var out struct{ ID string }
		require.Equal(t, http.StatusCreated, do(t, http.MethodPost, p.URL+"/p/"+caller+"/api/controlPlane/v1/uniform/registration", helm(deployment), &out))
		return out.ID
	}
	a, b := as("a"), as("b")
	require.NotEqual(t, a, b)
	require.Contains(t, d.shown(t), "keptn-exec.first/helm-service")
	require.Contains(t, d.shown(t), "keptn-exec.first.b/helm-service")
	r := f.Stamp("first").Gateway().Planes()
	require.Len(t, r.Integrations("a"), 1)
	require.True(t, r.Polled(deployment))
	require.False(t, r.Polled("sh.keptn.event.test.triggered"))
	ok, why := r.Ready(deployment)
	require.True(t, ok, why)

	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			r.Seen("script", "sh.keptn.event.get-sli.triggered")
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	require.Eventually(t, func() bool { return len(d.shown(t)) == 3 }, patience, time.Millisecond)
	is := find(t, f, "first", "script")
	require.Len(t, is, 1)
	require.Equal(t, plane.HTTP, is[0].Via)
	require.True(t, r.Polled("sh.keptn.event.get-sli.triggered"))
}

// TestFixtures: what real programs send is answered as they were answered, but
// for ids, times, the id of the subscription and the filters of the stamp.
func TestFixtures(t *testing.T) {
	const fixtures = "../../shared/fixtures"
	if _, err := os.Stat(fixtures); err != nil {
		t.Skip("no recordings of the real programs beside the checkout:", fixtures)
	}
	d := openDoor(t)
	f := planes(t, d, "")
	for _, name := range []string{"distributor-nats-0.19.3", "distributor-nats-1.4.5", "sdk-task-nats", "cpc-task-nats", "approval-service-1.4.5-nats"} {
		p := face(t, f, "first", 0)
		asked, told := recorded(t, filepath.Join(fixtures, name, "http-controlplane-wire.txt"))
		resp, err := http.Post(p.URL+"/v1/uniform/registration", "application/json", bytes.NewReader(asked)) //nolint:noctx // of the test
		require.NoError(t, err)
		var out struct{ ID string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&out))
		require.NoError(t, resp.Body.Close())
		require.Contains(t, []int{http.StatusOK, http.StatusCreated}, resp.StatusCode, name)
		require.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
		require.Regexp(t, "^[0-9a-f]{40}$", out.ID)
		var is string
		require.Equal(t, http.StatusOK, p.do(http.MethodPut, "/"+out.ID+"/ping", nil, nil))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.URL+"/v1/uniform/registration/"+out.ID+"/ping", nil)
		require.NoError(t, err)
		pinged, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(pinged.Body)
		require.NoError(t, err)
		require.NoError(t, pinged.Body.Close())
		is = b.String()
		require.Equal(t, plain(string(told)), plain(is), name)
	}
}

// plain replaces what differs from run to run and by the filters of the stamp.
func plain(s string) string {
	s = regexp.MustCompile(`"(id|lastseen)":"[^"]*"`).ReplaceAllString(s, `"$1":"*"`)
	return regexp.MustCompile(`"filter":\{[^}]*\}`).ReplaceAllString(strings.TrimSpace(s), `"filter":{}`)
}

// recorded returns the first registration and the answer to the first ping of a
// recording.
func recorded(t *testing.T, file string) (asked, told []byte) {
	t.Helper()
	b, err := os.ReadFile(file) //nolint:gosec // of the test
	require.NoError(t, err)
	ping := false
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := strings.TrimSuffix(s.Text(), `\n`)
		switch {
		case strings.HasPrefix(line, "PUT ") && strings.Contains(line, "/ping"):
			ping = true
		case asked == nil && strings.HasPrefix(line, `{"id":"","name"`):
			asked = []byte(line)
		case ping && told == nil && strings.HasPrefix(line, `{"id":`) && strings.Contains(line, `"metadata"`):
			told = []byte(line)
		}
	}
	require.NotNil(t, asked, file)
	require.NotNil(t, told, file)
	return asked, told
}
