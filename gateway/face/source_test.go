package face_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/face"
)

// TestTrustedProxies: who asks is who a trusted proxy says, and nobody else is
// believed. Failures count for each client, and clients.sources are held against it.
func TestTrustedProxies(t *testing.T) {
	from := func(c *face.Config) {
		c.Sources = func() []netip.Prefix {
			return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
		}
	}
	name := func(f *face.Face, forwarded ...string) int {
		t.Helper()
		text := "GET /v1/project HTTP/1.1\nHost: shipyard-controller\nConnection: close\n"
		for _, v := range forwarded {
			text += "X-Forwarded-For: " + v + "\n"
		}
		res, _ := ask(t, f.Addr(), text+"\n")
		return res.StatusCode
	}
	trusting := start(t, func(c *face.Config) {
		from(c)
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.168.1.0/24")}
	})
	for _, c := range []struct {
		forwarded []string
		in        bool
	}{
		{[]string{"10.1.2.3"}, true},
		{[]string{"10.1.2.3:4711"}, true},
		{[]string{"fd00::1"}, true},
		{[]string{"[fd00::1]:4711"}, true},
		{[]string{"[fd00::1]"}, true},
		{[]string{"::ffff:10.1.2.3"}, true},
		{[]string{"10.1.2.3, 192.168.1.7"}, true},
		{[]string{"10.1.2.3", "192.168.1.7"}, true},
		{[]string{"10.1.2.3, 8.8.8.8"}, false},
		{[]string{"10.1.2.3, 8.8.8.8, 192.168.1.7"}, false},
		{[]string{"10.1.2.3, unknown"}, false},
		{[]string{"8.8.8.8"}, false},
		{[]string{""}, false},
		{nil, false},
	} {
		want := http.StatusForbidden
		if c.in {
			want = http.StatusOK
		}
		require.Equal(t, want, name(trusting, c.forwarded...), c.forwarded)
	}
	require.Equal(t, http.StatusForbidden, name(start(t, from), "10.1.2.3"), "nobody is trusted")

	limited := start(t, func(c *face.Config) {
		c.Tokens, c.Proxies = tokens(t, map[string]string{"x": "tx"}), []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	guess := func(token, client string) int {
		res, _ := ask(t, limited.Addr(), "GET /api/v1/metadata HTTP/1.1\nHost: gw\nConnection: close\nX-Token: "+token+"\nX-Forwarded-For: 1.1.1.1, "+client+"\n\n")
		return res.StatusCode
	}
	require.Eventually(t, func() bool { return guess("wrong", "203.0.113.5") == http.StatusTooManyRequests }, patience, time.Millisecond)
	require.Equal(t, http.StatusUnauthorized, guess("wrong", "203.0.113.6"), "another client of the same proxy")
	require.Equal(t, http.StatusOK, guess("tx", "203.0.113.7"))
}
