package tunnel_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/internal/natstest"
)

// The tunnel needs no right that a stamp does not have for events: to publish as
// itself, and to hear what is for it.
func TestRightsOfAStampSuffice(t *testing.T) {
	srv := natstest.Start(t, func(o *server.Options) {
		o.JetStream = false
		for _, name := range []string{"eu", "us"} {
			o.Users = append(o.Users, &server.User{Username: name, Password: "x", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{"rw.v1.*.*." + name + ".>"}},
				Subscribe: &server.SubjectPermission{Allow: []string{"rw.v1.*." + name + ".>"}},
			}})
		}
	})
	up, err := url.Parse("http://" + natstest.Addr(t))
	require.NoError(t, err)
	c, err := tunnel.NewClient(tunnel.ClientConfig{Me: "eu", Fed: srv.Connect(nats.UserInfo("eu", "x")), Log: quiet()})
	require.NoError(t, err)
	natstest.Run(t, c.Run)
	ask := func() string {
		req, _ := http.NewRequest(http.MethodGet, "http://us/", nil)
		_, err := c.RoundTripper(tunnel.Route{To: "us", Target: "up"}).RoundTrip(req)
		var why *tunnel.Error
		require.ErrorAs(t, err, &why)
		return why.Reason
	}
	require.Equal(t, tunnel.ReasonNoRoute, ask())
	s, err := tunnel.NewServer(tunnel.ServerConfig{
		Me: "us", Fed: srv.Connect(nats.UserInfo("us", "x")), Log: quiet(), Targets: []tunnel.Target{{Name: "up", Upstream: up}},
	})
	require.NoError(t, err)
	natstest.Run(t, s.Run)
	require.Eventually(t, func() bool { return ask() == tunnel.ReasonRefused }, patience, tick)
}
