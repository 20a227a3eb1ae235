package poll_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/poll"
)

// fixtures is where recordings of the real programs lie, beside the checkout.
const fixtures = "../../../shared/fixtures"

// A recording is what a program asked over HTTP, and the event it was told.
type recording struct {
	polls []string // targets
	posts []string // bodies
	event string   // as it was told
}

func recorded(t *testing.T, folder string) recording {
	t.Helper()
	text, err := os.ReadFile(fixtures + "/" + folder + "/http-controlplane-wire.txt")
	if err != nil {
		t.Skip("no recordings of the real programs beside the checkout: ", fixtures)
	}
	var r recording
	posting := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(strings.TrimSpace(line), `\n`)
		method, rest, _ := strings.Cut(line, " ")
		switch {
		case method == http.MethodGet && strings.Contains(rest, "event/triggered"):
			target, _, _ := strings.Cut(rest, " ")
			r.polls = append(r.polls, target)
		case strings.HasPrefix(line, "----"):
			posting = false
		case method == http.MethodPost && strings.HasPrefix(rest, "/api/v1/event "):
			posting = true
		case posting && strings.HasPrefix(line, "{"):
			r.posts = append(r.posts, line)
		case strings.HasPrefix(line, `{"events":[{`):
			r.event = line[len(`{"events":[`):strings.LastIndex(line, `],"nextPageKey"`)]
		}
	}
	require.NotEmpty(t, r.polls)
	require.NotEmpty(t, r.posts)
	require.NotEmpty(t, r.event)
	return r
}

// TestRecordedPrograms: what distributors and services of both releases were
// recorded asking is answered so that they find the event as they were told it
// then, and what they posted is taken once.
func TestRecordedPrograms(t *testing.T) {
	for _, folder := range []string{"distributor-remote-0.19.3", "distributor-remote-1.4.5", "sdk-task-remote", "cpc-task-remote"} {
		t.Run(folder, func(t *testing.T) {
			r := recorded(t, folder)
			b := newStopped(t)
			b.topology = strings.Replace(federation, "[p, q]", "[sockshop]", 1)
			b.start()
			b.reg.register("x", "sink", poll.Subscription{Event: deploy, Projects: []string{"sockshop"}})
			b.put(false, []byte(r.event))
			found := 0
			for _, target := range r.polls {
				a := b.do(http.MethodGet, "/p/x"+target, nil, "Content-Type", "application/json", "X-Token", "secret")
				require.Equal(t, http.StatusOK, a.status, target)
				require.Equal(t, "0", a.NextPageKey)
				if a.TotalCount == 0 {
					continue
				}
				found++
				var page struct{ Events []map[string]any }
				require.NoError(t, json.Unmarshal([]byte(a.text), &page))
				var want map[string]any
				require.NoError(t, json.Unmarshal([]byte(r.event), &want))
				if ct, ok := want["datacontenttype"]; ok {
					want["contenttype"] = ct
					delete(want, "datacontenttype")
				}
				require.Equal(t, []map[string]any{want}, page.Events)
			}
			require.Positive(t, found)
			for _, body := range append(r.posts, r.posts...) {
				a := b.post("x", []byte(body))
				require.Equal(t, http.StatusOK, a.status, body)
				require.NotEmpty(t, a.KeptnContext)
			}
			require.Len(t, b.captured(), len(r.posts))
			require.Empty(t, b.poll("x", deploy).Events, "it has started")
		})
	}
}
