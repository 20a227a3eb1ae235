package node_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

func TestMonitorShowsTheReadOnlyPart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"), leaf("c", topology.TransportTLS, "a"))
	a, c := w.run("a"), w.run("c")
	c.up()
	h := a.Monitor()
	get := func(method, path string) (int, string) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		return rec.Code, rec.Body.String()
	}
	for path, want := range map[string]string{
		"/": `"server_name":"a"`, "/healthz": `"status":"ok"`, "/healthz?js-enabled-only=true": `"ok"`,
		"/varz": `"server_name":"a"`, "/jsz": `"domain":"a"`, "/leafz": `"name":"c"`, "/gatewayz": `"name":"a.link"`,
	} {
		code, body := get(http.MethodGet, path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, want, path)
		require.NotContains(t, body, "eyJ", "no token is shown")
	}
	for _, path := range []string{"/connz", "/subsz", "/accountz", "/accstatz", "/stacksz", "/debug/pprof/", "/routez"} {
		code, _ := get(http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, code, path)
	}
	code, _ := get(http.MethodPost, "/healthz")
	require.Equal(t, http.StatusMethodNotAllowed, code)
	_, body := get(http.MethodGet, "/leafz?subs=1")
	require.NotContains(t, body, "subscriptions_list")

	require.NoError(t, a.stop())
	for _, path := range []string{"/", "/healthz", "/varz"} {
		code, _ = get(http.MethodGet, path)
		require.Equal(t, http.StatusServiceUnavailable, code)
	}
}

func TestLogHidesSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	var out bytes.Buffer
	log := node.NewLog(&out)
	creds := string(w.creds("x", w.linkKey))
	log.Noticef("user %s", w.sentinel("a"))
	log.Warnf("creds %s", creds)
	log.Errorf("dial %s", "nats-leaf://me:secret@example.com:7422")
	log.Debugf("%s", creds)
	log.Tracef("%s", creds)
	text := out.String()
	seed := regexp.MustCompile(`(?m)^SU\w+$`).FindString(creds)
	require.NotEmpty(t, seed)
	for _, secret := range []string{"eyJ", "me:secret", seed} {
		require.NotContains(t, text, secret)
	}
	require.Equal(t, 3, strings.Count(text, "\n"))
	require.Contains(t, text, "example.com:7422")
	require.NotPanics(t, func() { log.Fatalf("one"); log.Fatalf("two") })
}
