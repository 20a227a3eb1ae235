package gateway_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// threeStamps is a hub with the control plane and two leaves that exchange no
// events with each other.
const threeStamps = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu, us]
rings: [dev, prod]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: "hub.example:7422", websocket: "hub.example:443"}}}
  - {name: near, geo: eu, ring: dev}
  - {name: far, geo: us, ring: prod, link: {kind: leaf, via: [hub], transport: wss}}
controlPlanes: [{name: k, stamp: hub}]
stages: [{name: dev, ring: dev}, {name: far, ring: prod}]
`

// noticeSoon makes canaries notice in a second what they would in fifteen.
func noticeSoon(o *gateway.Options) { o.Events.CanaryInterval = 250 * time.Millisecond }

// federationOf asks a gateway over its admin face.
func federationOf(t *testing.T, f *fed.Fed, stamp topology.StampID) map[topology.StampID]gateway.StampReport {
	t.Helper()
	code, body := get(t, f.Stamp(stamp).Gateway().AdminURL()+"/federation")
	require.Equal(t, 200, code, body)
	var is gateway.Federation
	require.NoError(t, json.Unmarshal([]byte(body), &is))
	require.Equal(t, stamp, is.Asked)
	out := map[topology.StampID]gateway.StampReport{}
	for _, s := range is.Stamps {
		out[s.Stamp] = s
	}
	return out
}

// TestOneGatewayTellsOfAll: what a gateway shows of the others is what they say,
// asked over the links; a leaf is told of by those it has to do with alone.
func TestOneGatewayTellsOfAll(t *testing.T) {
	f := fed.New(t, threeStamps, noticeSoon)
	require.Eventually(t, func() bool {
		all := federationOf(t, f, "hub")
		return all["far"].Answered && all["near"].Answered && all["far"].Canary != nil && !all["far"].Canary.Never
	}, fed.Patience, 20*time.Millisecond)
	all := federationOf(t, f, "hub")
	require.Len(t, all, 3)
	require.Equal(t, gateway.WayHere, all["hub"].Way)
	require.Equal(t, gateway.WayUp, all["far"].Way)
	require.Contains(t, all["far"].Via, "wss:")
	require.Contains(t, all["near"].Via, "leaf:")
	require.EqualValues(t, "far", all["far"].Status.Stamp)
	require.NotNil(t, all["far"].Status.DeadLetters)
	require.NotNil(t, all["far"].Expires)
	require.Less(t, all["far"].Clock, 1.0)

	leaf := federationOf(t, f, "near")
	require.True(t, leaf["hub"].Answered)
	require.False(t, leaf["far"].Answered)
	require.Contains(t, leaf["far"].Err, "refused: near is neither a hub")
	require.Equal(t, gateway.WayUp, leaf["far"].Way, "the hub says so")
}

// TestCutIsNamed: what is shown of a stamp that is cut off names the side that
// dials, where, why, and what waits; on the other side as well.
func TestCutIsNamed(t *testing.T) {
	f := fed.New(t, threeStamps, noticeSoon)
	require.Eventually(t, func() bool { return federationOf(t, f, "hub")["far"].Way == gateway.WayUp }, fed.Patience, 20*time.Millisecond)
	cut := time.Now()
	f.Cut("far")
	const subject = "sh.keptn.event.deployment.triggered"
	f.Publish("hub", subject, keptnEvent(subject, "1", "far"))
	require.Eventually(t, func() bool {
		is := federationOf(t, f, "hub")["far"]
		return is.Way == gateway.WayDown && is.Outbox == 1
	}, time.Minute, 50*time.Millisecond)
	t.Logf("named after %s", time.Since(cut))
	is := federationOf(t, f, "hub")["far"]
	require.Equal(t, "far → hub", is.Causes[0].Side)
	require.Equal(t, "hub.example:443", is.Causes[0].Addr)
	require.Contains(t, is.Causes[0].Reason, "no leafnode connection from it")
	require.EqualValues(t, 1, is.Causes[0].Waits)
	require.Equal(t, gateway.WayUp, federationOf(t, f, "hub")["near"].Way)

	there := federationOf(t, f, "far")["hub"]
	require.Equal(t, gateway.WayDown, there.Way)
	require.Equal(t, "far → hub", there.Causes[0].Side)
	require.Contains(t, there.Causes[0].Addr, "127.0.0.1:")
	require.Contains(t, there.Causes[0].Reason, "leaf-out link is down")
	f.Heal("far")
	require.Eventually(t, func() bool {
		is := federationOf(t, f, "hub")["far"]
		return is.Way == gateway.WayUp && is.Outbox == 0 && len(is.Causes) == 0
	}, fed.Patience, 50*time.Millisecond)
}

func keptnEvent(typ, id, stage string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"s","type":%q,"shkeptncontext":"c","data":{"project":"p","stage":%q,"service":"s"}}`, id, typ, stage)
}

// TestAnswerGoesToWhoAsks: an answer goes nowhere but to the stamp that asks.
func TestAnswerGoesToWhoAsks(t *testing.T) {
	f := fed.New(t, twoStamps)
	nc, err := f.Stamp("hub").Gateway().ConnectFed()
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Request(bridge.CtlSubject("hub", "hub", bridge.ShowStatus), nil, 200*time.Millisecond)
	require.ErrorIs(t, err, nats.ErrTimeout)
}

// TestStandbyAsksTheActive: whichever replica is asked, the one that moves events
// says how the stamp is.
func TestStandbyAsksTheActive(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four gateways")
	}
	f := fed.New(t, `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: hub, geo: eu, ring: dev, roles: [control], replicas: 3, link: {kind: hub, advertise: {leafnode: "hub.example:7422"}}}
  - {name: leaf, geo: eu, ring: dev}
controlPlanes: [{name: k, stamp: hub}]
stages: [{name: dev, ring: dev}]
`, noticeSoon)
	standby := f.Replica("hub", (f.Active("hub")+1)%3).Gateway()
	require.Eventually(t, func() bool {
		code, body := get(t, standby.AdminURL()+"/federation")
		var is gateway.Federation
		require.Equal(t, 200, code)
		require.NoError(t, json.Unmarshal([]byte(body), &is))
		return len(is.Stamps) == 2 && is.Stamps[0].Answered && is.Stamps[0].Status.Replica.Active && len(is.Stamps[0].Status.Peers) == 1 &&
			is.Stamps[1].Answered && is.Stamps[1].Way == gateway.WayUp && is.Stamps[1].Canary.From == "hub"
	}, fed.Patience, 50*time.Millisecond)
	require.Eventually(t, func() bool { // streams may just have been made
		is := standby.Examine(t.Context(), true)
		return is.Answered == 2 && !slices.ContainsFunc(is.Findings, func(x gateway.Finding) bool { return x.Level == gateway.LevelFailure })
	}, fed.Patience, 50*time.Millisecond)
}

// TestWatcherLooksAndTouchesNothing: with a watcher's credentials NATS's tools find
// the gateway, and it tells how all stamps are; events, other subjects and other
// stamps are out of reach.
func TestWatcherLooksAndTouchesNothing(t *testing.T) {
	f := fed.New(t, twoStamps)
	file := filepath.Join(t.TempDir(), "anna.creds")
	store, err := keystore.Open(filepath.Join(f.Dir, "keys"))
	require.NoError(t, err)
	creds, err := store.Watcher("anna", time.Hour, time.Now())
	require.NoError(t, err)
	_, err = store.Watcher("_anna", time.Hour, time.Now())
	require.Error(t, err)
	require.NoError(t, store.Close())
	require.NoError(t, os.WriteFile(file, creds, 0o600))
	refused := make(chan error, 16)
	nc, err := nats.Connect(f.Stamp("leaf").URL(), nats.UserCredentials(file), nats.CustomInboxPrefix("_INBOX._anna"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	defer nc.Close()
	m, err := nc.Request("$SRV.INFO.ringway", nil, fed.Patience)
	require.NoError(t, err)
	var info micro.Info
	require.NoError(t, json.Unmarshal(m.Data, &info))
	require.Equal(t, "leaf", info.Metadata["stamp"])
	names := map[string]bool{}
	for _, e := range info.Endpoints {
		names[e.Name] = true
	}
	for _, name := range []string{"status", "federation", "checks", "examination", "story", "news"} {
		require.True(t, names[name], name)
	}

	w := ctl.Watcher{Name: "_anna", Inbox: "_INBOX._anna", File: file}
	body, err := w.Ask(t.Context(), f.Stamp("leaf").URL(), bridge.ShowFederation)
	require.NoError(t, err)
	var is gateway.Federation
	require.NoError(t, json.Unmarshal(body, &is))
	require.EqualValues(t, "leaf", is.Asked)

	for _, subject := range []string{
		"rw.v1.>", "rw.v1.ev.leaf.>", "rw.v1.ctl.leaf.>", "_INBOX.>", "sh.keptn.>", "$JS.>",
	} {
		_, err := nc.SubscribeSync(subject)
		require.NoError(t, err)
		require.ErrorIs(t, <-refused, nats.ErrPermissionViolation, subject)
	}
	for _, subject := range []string{
		bridge.EventSubject("leaf", "hub", "key"), bridge.CtlSubject("leaf", "hub", bridge.ShowStatus), bridge.CtlSubject("leaf", "_anna", bridge.AskClaim),
		"$JS.API.STREAM.LIST", "_INBOX.x", "sh.keptn.event.x.triggered",
	} {
		require.NoError(t, nc.Publish(subject, nil))
		require.ErrorIs(t, <-refused, nats.ErrPermissionViolation, subject)
	}
	_, err = nc.Request(bridge.CtlSubject("hub", "_anna", bridge.ShowStatus), nil, fed.Patience)
	require.ErrorIs(t, err, nats.ErrNoResponders, "it does not cross")
}

// TestSilentStampIsNamedWithinAMinute: connections stay open and carry nothing
// any more. With the defaults of a gateway both sides say so within a minute.
func TestSilentStampIsNamedWithinAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for canaries")
	}
	f := fed.New(t, threeStamps)
	require.Eventually(t, func() bool {
		return federationOf(t, f, "hub")["far"].Way == gateway.WayUp && federationOf(t, f, "far")["hub"].Way == gateway.WayUp
	}, fed.Patience, 50*time.Millisecond)
	began := time.Now()
	f.BlackHole("far")
	for _, side := range []struct{ at, of topology.StampID }{{"hub", "far"}, {"far", "hub"}} {
		require.Eventually(t, func() bool {
			s := federationOf(t, f, side.at)[side.of]
			return s.Way == gateway.WayDown && s.Causes[0].Addr != "" && s.Causes[0].Code != ""
		}, time.Minute, 100*time.Millisecond)
		require.Eventually(t, func() bool {
			for _, x := range f.Stamp(side.at).Gateway().Examine(t.Context(), false).Findings {
				if x.Level == gateway.LevelFailure && x.Check == "events get through to "+string(side.of) {
					return true
				}
			}
			return false
		}, time.Until(began.Add(time.Minute)), 100*time.Millisecond)
	}
	t.Logf("named on both sides, by status and doctor, after %s", time.Since(began).Round(time.Second))
}
