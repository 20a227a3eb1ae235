package keptn

import (
	"context"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
)

// The tests of this file show what Keptn's programs do where clusters are
// joined by NATS alone: contract §8.

// oneTask has a task in each of two stages.
func oneTask() Project {
	return Project{Name: "sockshop", Stages: []Stage{{"dev", []string{"deployment"}}, {"prod", []string{"deployment"}}}}
}

// supercluster runs one server per name, joined by gateways, and keptn-nats as
// a leaf of the first, since a server of a supercluster has no JetStream of its
// own. It returns them by name, and keptn-nats as "".
func supercluster(t testing.TB, names ...string) map[string]*natstest.Server {
	t.Helper()
	out := map[string]*natstest.Server{}
	addr, err := net.ResolveTCPAddr("tcp", natstest.Addr(t))
	require.NoError(t, err)
	for i, name := range names {
		out[name] = natstest.Start(t, func(o *server.Options) {
			o.ServerName, o.JetStream = name, false
			o.Accounts, o.SystemAccount = []*server.Account{server.NewAccount("SYS")}, "SYS"
			o.Gateway = server.GatewayOpts{Name: name, Host: "127.0.0.1", Port: -1}
			o.DisableShortFirstPing, o.PingInterval = true, time.Hour // the order of gateways stays
			if i == 0 {
				o.LeafNode = server.LeafNodeOpts{Host: "127.0.0.1", Port: addr.Port}
				return
			}
			o.Gateway.Gateways = []*server.RemoteGatewayOpts{{
				Name: names[0], URLs: []*url.URL{{Scheme: "nats", Host: out[names[0]].GatewayAddr().String()}},
			}}
		})
	}
	for name, s := range out {
		require.Eventually(t, func() bool { return s.NumOutboundGateways() == len(names)-1 }, patience, time.Millisecond, name)
	}
	out[""] = leafOf(t, addr.String())
	require.Eventually(t, func() bool { return out[""].NumLeafNodes() == 1 }, patience, time.Millisecond)
	return out
}

// leafOf runs a server with JetStream as a leaf of the one at addr.
func leafOf(t testing.TB, addr string) *natstest.Server {
	t.Helper()
	return natstest.Start(t, func(o *server.Options) {
		o.ServerName = "leaf"
		o.LeafNode.ReconnectInterval = 20 * time.Millisecond
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats", Host: addr}}}}
	})
}

// known waits until the server called control knows who subscribes to subject in
// the others.
func known(t testing.TB, sc map[string]*natstest.Server, subject string, others ...string) {
	t.Helper()
	for _, name := range others {
		require.Eventually(t, func() bool {
			z, err := sc["control"].Gatewayz(&server.GatewayzOptions{Name: name, Accounts: true, AccountSubscriptions: true})
			return err == nil && z.OutboundGateways[name] != nil &&
				slices.ContainsFunc(z.OutboundGateways[name].Accounts, func(a *server.AccountGatewayz) bool {
					return slices.Contains(a.Subs, subject)
				})
		}, patience, 5*time.Millisecond, "control does not learn of %s in %s", subject, name)
	}
}

// plane runs a pod without registration in a stamp, for one stage.
func plane(t testing.TB, natsURL, group, stage string) *Pod {
	t.Helper()
	p := &Pod{Distributor: Distributor{
		Clock: quick, PubSubURL: natsURL, PubSubTopic: triggered, PubSubGroup: group, DisableRegistration: true, StageFilter: stage,
	}}
	Start(t, p)
	return p
}

// TestPlainSuperclusterLosesTasks: the same service in two stamps is one queue
// group; the stamp that gets an event of the other drops it, and the sequence
// is given up for want of an answer.
func TestPlainSuperclusterLosesTasks(t *testing.T) {
	t.Parallel()
	sc := supercluster(t, "control", "dev", "prod")
	c := &ControlPlane{NATS: sc[""].URL(), Store: NewStore(Clock{Second: 2 * time.Millisecond}, oneTask())}
	Start(t, c)
	dev, prod := plane(t, sc["dev"].URL(), "helm-service", "dev"), plane(t, sc["prod"].URL(), "helm-service", "prod")
	known(t, sc, triggered, "dev", "prod")
	all := c.Ended(t, c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))
	last := all[len(all)-1]
	require.Equal(t, TimedOut, last.State)
	require.Empty(t, last.Tasks[0].Started)
	require.Less(t, len(dev.Received())+len(prod.Received()), 2, "of two tasks")
}

// TestPlainSuperclusterRunsTasksTwice: with a group for each stamp and without
// filters, as go-sdk has it, both stamps do the task, and the control plane
// closes it with the first.
func TestPlainSuperclusterRunsTasksTwice(t *testing.T) {
	t.Parallel()
	sc := supercluster(t, "control", "dev", "prod")
	p := Project{Name: "sockshop", Stages: []Stage{{"dev", []string{"deployment"}}}}
	c := &ControlPlane{NATS: sc[""].URL(), Store: NewStore(quick, p)}
	Start(t, c)
	var services []*SDK
	for _, name := range []string{"dev", "prod"} {
		s := recordedSDK(Release14)
		s.Name, s.Hosts, s.EventBroker = "service-"+name, InCluster(c.Internal), sc[name].URL()
		services = append(services, s)
		Start(t, s)
	}
	for _, s := range services { // until both stamps are known to want it
		require.Eventually(t, func() bool {
			_ = sc[""].Connect().Publish(triggered, event("probe", "dev"))
			return len(s.Received()) > 0
		}, patience, 20*time.Millisecond)
	}
	id := c.Ended(t, c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil)))[0].Tasks[0].TriggeredID
	for _, s := range services {
		require.Eventually(t, func() bool {
			for _, e := range s.Received() {
				if e.ID == id {
					return true
				}
			}
			return false
		}, patience, time.Millisecond, "%s does not do it as well", s.Name)
	}
}

// TestPlainLeafLosesAnswers: a .finished that is published while the link is
// down is gone, and the sequence hangs: after .started there is no time-out.
func TestPlainLeafLosesAnswers(t *testing.T) {
	t.Parallel()
	addr, err := net.ResolveTCPAddr("tcp", natstest.Addr(t))
	require.NoError(t, err)
	hub := natstest.Start(t, func(o *server.Options) {
		o.ServerName, o.LeafNode = "hub", server.LeafNodeOpts{Host: "127.0.0.1", Port: addr.Port}
	})
	link := newTap(t, addr.String())
	leaf := leafOf(t, link.addr)
	linked := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return hub.NumLeafNodes() == n && leaf.NumLeafNodes() == n }, patience, time.Millisecond)
	}
	linked(1)
	c := &ControlPlane{NATS: hub.URL(), Store: NewStore(quick, oneTask())}
	Start(t, c)
	done := make(chan struct{})
	p := &Pod{
		Distributor: Distributor{Clock: quick, PubSubURL: leaf.URL(), PubSubTopic: triggered, DisableRegistration: true},
		Work:        func(context.Context, Event) map[string]any { <-done; return nil },
	}
	Start(t, p)
	local := listen(t, leaf, finished)
	require.Eventually(t, func() bool {
		z, err := hub.Leafz(&server.LeafzOptions{Subscriptions: true})
		return err == nil && len(z.Leafs) == 1 && slices.Contains(z.Leafs[0].Subs, triggered)
	}, patience, time.Millisecond, "the hub does not learn of the plane")
	c.Post(t, Trigger("sockshop", "dev", "carts", "delivery", nil))
	task := func() Task { return c.Store.Sequences()[0].Tasks[0] }
	require.Eventually(t, func() bool {
		all := c.Store.Sequences()
		return len(all) == 1 && len(all[0].Tasks) == 1 && len(all[0].Tasks[0].Started) == 1
	}, patience, time.Millisecond)

	link.setCut(true)
	linked(0)
	close(done)
	_, err = local.NextMsg(patience)
	require.NoError(t, err)
	link.setCut(false)
	linked(1)
	nc := leaf.Connect()
	require.Eventually(t, func() bool { // the link carries events again
		_ = nc.Publish(finished, eventOf(finished, "after", "dev"))
		return len(c.Store.Late()) > 0
	}, patience, 20*time.Millisecond)
	require.Empty(t, task().Finished)
	require.Equal(t, Running, c.Store.Sequences()[0].State)
}

// TestTwoStampsAreOneIntegration: the same service with the same namespace in
// two stamps is one registration. The filters of the second are lost; both do
// the tasks of the first stage, and none those of the second. Contract §7.
func TestTwoStampsAreOneIntegration(t *testing.T) {
	t.Parallel()
	_, c := control(t, oneTask())
	var pods []*Pod
	for _, stage := range []string{"dev", "prod"} {
		p := recordedPod(t, Release14)
		p.Namespace, p.APIEndpoint, p.APIToken = "keptn-exec", c.Endpoint(), Token
		p.PubSubTopic, p.StageFilter, p.HeartbeatInterval, p.PollingInterval = triggered, stage, time.Second, time.Second
		pods = append(pods, p)
		Start(t, p)
		heard(t, p)
	}
	require.Len(t, c.Store.Integrations(), 1)
	require.Equal(t, []string{"dev"}, pods[1].current()[0].Filter.Stages)
	c.Store.reopen(t, encode(eventPage{Events: []Event{must(ParseEvent(event("a dev task", "dev"))), must(ParseEvent(event("a prod task", "prod")))}}))
	for _, p := range pods {
		require.Equal(t, []string{"a dev task"}, awaitReceived(t, p, 1))
	}
}
