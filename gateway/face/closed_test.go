package face_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/face"
)

func TestPublicAPIIsClosedWithoutTokens(t *testing.T) {
	f := start(t, nil)
	res, body := ask(t, f.Addr(), line("GET /api/v1/metadata"))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode, body)
	for range 5 {
		res, body = ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: any"))
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, body)
		require.Equal(t, "closed", res.Header.Get("Ringway-Reason"), "there is nothing to guess, and the person at the other end has to learn it")
	}
	open := start(t, func(c *face.Config) { c.Anonymous = true })
	_, body = ask(t, open.Addr(), line("GET /p/x/api/v1/metadata"))
	require.Equal(t, "x api-service GET /v1/metadata true", body)
	_, body = ask(t, open.Addr(), line("GET /p/x/api/v1/metadata", "X-Token: any"))
	require.Equal(t, "x api-service GET /v1/metadata true", body, "Keptn's clients show one whether it is asked for or not")
	both := start(t, func(c *face.Config) { c.Anonymous, c.Tokens = true, tokens(t, map[string]string{"x": "tx"}) })
	res, _ = ask(t, both.Addr(), line("GET /api/v1/metadata", "X-Token: any"))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode, "who shows a token is held to it where there are some")
	far := start(t, func(c *face.Config) {
		c.Anonymous = true
		c.Sources = func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }
	})
	for path, want := range map[string]int{"/api/v1/metadata": 401, "/t/a/b/": 403, "/other": 404} {
		res, body = ask(t, far.Addr(), line("GET "+path, "X-Forwarded-For: 10.0.0.1"))
		require.Equal(t, want, res.StatusCode, body)
	}
	res, _ = ask(t, far.Addr(), "GET /v1/project HTTP/1.1\nHost: shipyard-controller\nConnection: close\n\n")
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}
