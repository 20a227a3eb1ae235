package contrast_test

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// long bounds every wait for something that must happen.
const long = 30 * time.Second

// A supercluster is one server per cluster, each linked to each by gateways.
type supercluster map[string]*server.Server

// start runs a supercluster and returns when its mesh is complete.
func start(t *testing.T, names ...string) supercluster {
	t.Helper()
	sc := supercluster{}
	for _, name := range names {
		opts := &server.Options{
			ServerName: name, Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			Gateway: server.GatewayOpts{Name: name, Host: "127.0.0.1", Port: -1},
			// A gateway sends to the nearest cluster first, and a ping tells it
			// anew which one that is. Without pings the order stays as it is.
			DisableShortFirstPing: true, PingInterval: time.Hour,
		}
		if seed := sc[names[0]]; seed != nil {
			opts.Gateway.Gateways = []*server.RemoteGatewayOpts{{
				Name: names[0],
				URLs: []*url.URL{{Scheme: "nats", Host: seed.GatewayAddr().String()}},
			}}
		}
		s, err := server.NewServer(opts)
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		require.True(t, s.ReadyForConnections(long), "server %s does not start", name)
		sc[name] = s
	}
	for name, s := range sc {
		require.Eventually(t, func() bool { return s.NumOutboundGateways() == len(names)-1 },
			long, 5*time.Millisecond, "%s does not join the mesh", name)
	}
	return sc
}

// connect returns a client of one cluster.
func (sc supercluster) connect(t *testing.T, name string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(sc[name].ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// await returns when the server called name knows of a subscription to subject
// in each of the other clusters called in. Between clusters only what is
// subscribed to is sent.
func (sc supercluster) await(t *testing.T, name, subject string, in []string) {
	t.Helper()
	for _, other := range in {
		if other == name {
			continue
		}
		require.Eventually(t, func() bool {
			z, err := sc[name].Gatewayz(&server.GatewayzOptions{Name: other, Accounts: true, AccountSubscriptions: true})
			if err != nil || z.OutboundGateways[other] == nil {
				return false
			}
			return slices.ContainsFunc(z.OutboundGateways[other].Accounts, func(a *server.AccountGatewayz) bool {
				return slices.Contains(a.Subs, subject)
			})
		}, long, 5*time.Millisecond, "%s does not learn of the subscriptions in %s", name, other)
	}
}
