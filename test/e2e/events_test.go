package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// captured returns the messages that real programs published, by file. Some
// were given an event twice and answered twice, which the gateway refuses; those are
// left out.
func captured(t *testing.T) map[string][][2]string {
	t.Helper()
	files, err := filepath.Glob("../testdata/keptn/*/nats-messages.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string][][2]string{}
	for _, name := range files {
		f, err := os.Open(name) //nolint:gosec // of this repository
		require.NoError(t, err)
		seen := map[string]bool{}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			var m struct{ Subject, Data string }
			require.NoError(t, json.Unmarshal(sc.Bytes(), &m))
			var e struct{ ID, Source, TriggeredID string }
			require.NoError(t, json.Unmarshal([]byte(m.Data), &e))
			what := m.Subject + e.ID
			if e.TriggeredID != "" {
				what = m.Subject + e.Source + e.TriggeredID
			}
			if !seen[what] {
				seen[what] = true
				out[name] = append(out[name], [2]string{m.Subject, m.Data})
			}
		}
		require.NoError(t, f.Close())
	}
	return out
}

// TestBodiesArriveByteForByte: what real programs put on the wire arrives as it
// was, in the right stamp and only there.
func TestBodiesArriveByteForByte(t *testing.T) {
	for name, messages := range captured(t) {
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			f := fed.New(t, world)
			plane := f.Tap("tls", "sh.keptn.event.>", "my-service")
			others := map[topology.StampID]*fed.Tap{"hub": f.Tap("hub", triggered, "my-service"), "wss": f.Tap("wss", triggered, "my-service")}
			keptn := f.Tap("control", "sh.keptn.event.>", "")
			for _, m := range messages {
				if strings.HasSuffix(m[0], ".triggered") {
					f.Publish("control", m[0], []byte(m[1]))
					require.Equal(t, m[1], string(keptn.Next().Data)) // its own echo
					require.Equal(t, m[1], string(plane.Next().Data))
					continue
				}
				f.Publish("tls", m[0], []byte(m[1]))
				require.Equal(t, m[1], string(plane.Next().Data)) // its own echo
				require.Equal(t, m[1], string(keptn.Next().Data))
			}
			f.Publish("control", triggered, event(triggered, "last", "prod", "k"))
			for _, tap := range others {
				require.Contains(t, string(tap.Next().Data), `"last"`)
			}
		})
	}
}

// TestOnlyOurSubjectsCross: what no rule names stays in its stamp.
func TestOnlyOurSubjectsCross(t *testing.T) {
	f := fed.New(t, world)
	taps := []*fed.Tap{f.Tap("wss", "sh.keptn.>", ""), f.Tap("hub", "sh.keptn.>", "")}
	f.Publish("tls", "sh.keptn.event.anything", event("sh.keptn.event.anything", "1", "prod", "k"))
	f.Publish("tls", triggered, event(triggered, "2", "prod", "k"))
	f.Publish("tls", "sh.keptn.event.project.delete.finished", event("sh.keptn.event.project.delete.finished", "3", "prod", "k"))
	f.Publish("tls", started, event(started, "4", "prod", "k")) // to control only
	for _, tap := range taps {
		mark(t, f, tap, "prod")
	}
}

// TestEachStampGetsItsOwn is the contrast to test/contrast: the same queue
// group in several stamps, and each gets every event of its stage once.
func TestEachStampGetsItsOwn(t *testing.T) {
	f := fed.New(t, world)
	hub, wss := f.Tap("hub", triggered, "helm-service"), f.Tap("wss", triggered, "helm-service")
	f.Tap("control", triggered, "helm-service")
	const n = 300
	var bodies [][]byte
	var want []string
	for i := range n {
		bodies = append(bodies, event(triggered, fmt.Sprint(i), "prod", fmt.Sprint(i)))
		want = append(want, string(bodies[i]))
	}
	f.Publish("control", triggered, bodies...)
	require.ElementsMatch(t, want, hub.Bodies(n))
	require.ElementsMatch(t, want, wss.Bodies(n))
	mark(t, f, hub, "prod")
}

// TestBadInputIsSetAside: what Keptn would crash on becomes a dead letter, and
// what comes after it flows.
func TestBadInputIsSetAside(t *testing.T) {
	f := fed.New(t, world)
	tap := f.Tap("tls", triggered, "")
	good := string(event(triggered, "1", "dev", "k"))
	for _, bad := range []string{
		"", "\x00\xff", "{}", "[]",
		strings.Replace(good, `"source":"test",`, "", 1),
		strings.Replace(good, `"type":"`+triggered+`",`, "", 1),
		strings.Replace(good, `"a":"b"`, `"a":1`, 1),
		strings.Replace(good, `"stage":"dev"`, `"stage":"nowhere"`, 1),
	} {
		f.Publish("control", triggered, []byte(bad))
	}
	big := strings.Replace(good, `"service":"carts"`, `"service":"carts","x":"`+strings.Repeat("y", 1_500_000)+`"`, 1)
	f.Publish("control", triggered, []byte(big))
	require.Equal(t, big, string(tap.Next().Data), "1.5 MB crosses")
	mark(t, f, tap, "dev")

	url := f.Stamp("control").Gateway().AdminURL()
	var letters []struct {
		Number uint64
		Reason string
		Detail []string
	}
	require.NoError(t, json.Unmarshal([]byte(get(t, http.MethodGet, url+"/events/dlq")), &letters))
	require.Len(t, letters, 8)
	for _, l := range letters[:7] {
		require.Equal(t, "invalid", l.Reason)
		require.NotEmpty(t, l.Detail)
	}
	require.Equal(t, "no-rule", letters[7].Reason)
	again := fmt.Sprintf("%s/events/dlq/%d/replay", url, letters[7].Number)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, again, nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "http://stranger.example") // as a browser does for a page
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	get(t, http.MethodPost, again)
}

func get(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	return string(body)
}

func TestCustomRoutes(t *testing.T) {
	f := fed.New(t, world)
	orders, beats := f.Tap("wss", "orders.>", ""), f.Tap("wss", "beats.>", "")
	elsewhere := f.Tap("hub", "sh.keptn.>", "")
	f.Publish("tls", "orders.new", []byte("not JSON"))
	require.Equal(t, "not JSON", string(orders.Next().Data))
	f.Publish("tls", "beats.1", []byte("x"))
	require.Equal(t, "x", string(beats.Next().Data))
	f.Publish("control", triggered, event(triggered, "1", "prod", "k"))
	require.Equal(t, triggered, elsewhere.Next().Subject)
}

// TestTopologyChangesLive: a stage moves to another stamp and a route appears
// without a restart; a new hub is reported by name as pending.
func TestTopologyChangesLive(t *testing.T) {
	f := fed.New(t, world)
	hub := f.Tap("hub", triggered, "")
	before := f.Status("control").Topology.Hash
	require.NoError(t, f.SetTopology([]byte(strings.Replace(world, "stamps: [wss]}\nroutes", "stamps: [hub]}\nroutes", 1))))
	require.Eventually(t, func() bool { return f.Status("control").Topology.Hash != before }, fed.Patience, 5e6)
	require.Empty(t, f.Status("control").Topology.Pending)
	body := event(triggered, "1", "far", "k")
	f.Publish("control", triggered, body)
	require.Equal(t, string(body), string(hub.Next().Data))

	// A letter that no rule took is sent on once the topology has one.
	late := event(triggered, "2", "later", "k")
	f.Publish("control", triggered, late)
	url := f.Stamp("control").Gateway().AdminURL() + "/events/dlq"
	require.Eventually(t, func() bool { return strings.Contains(get(t, http.MethodGet, url), "no-rule") }, fed.Patience, 5e6)
	before = f.Status("control").Topology.Hash
	require.NoError(t, f.SetTopology([]byte(strings.Replace(world, "routes:", "  - {name: later, ring: prod, stamps: [hub]}\nroutes:", 1))))
	require.Eventually(t, func() bool { return f.Status("control").Topology.Hash != before }, fed.Patience, 5e6)
	get(t, http.MethodPost, url+"/1/replay")
	require.Equal(t, string(late), string(hub.Next().Data))

	require.NoError(t, f.SetTopology([]byte("kind: nonsense")))
	require.Eventually(t, func() bool { return f.Status("control").Topology.Err != "" }, fed.Patience, 5e6)

	third := `  - {name: third, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: "third.example:7222"}}}` + "\ncontrolPlanes"
	require.NoError(t, f.SetTopology([]byte(strings.Replace(world, "controlPlanes", third, 1))))
	// The second hub waits for its turn, so that it can be seen.
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(f.Status("hub").Topology.Pending, "\n"), "third") }, fed.Patience, 5e6)
}
