package catch_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/catch"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

const (
	long    = 20 * time.Second
	subject = "sh.keptn.event.deployment.triggered"
)

const oneStamp = `
apiVersion: ringway/v1
kind: Topology
name: test
geos: [eu]
rings: [dev]
stamps:
  - {name: stamp, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {leafnode: "hub.example:7422"}}}
  - {name: other, geo: eu, ring: dev}
controlPlanes: [{name: k, stamp: stamp}]
stages: [{name: dev, ring: dev}]
`

// A bench is two catchers of one stamp. They share a server, which makes no
// difference to them.
type bench struct {
	t      *testing.T
	stamp  *natstest.Stamp
	client *nats.Conn
	run    func(name string) *catch.Catcher
	a, b   *catch.Catcher
	sent   int
	others int // whom the next one to run asks for what it has not heard
}

func newBench(t *testing.T) *bench {
	t.Helper()
	mesh, err := topology.Parse("t.yaml", []byte(oneStamp))
	require.NoError(t, err)
	view, ok := mesh.View("stamp")
	require.True(t, ok)
	router := bridge.NewRouter(view)
	s := natstest.StartStamp(t)
	b := &bench{t: t, stamp: s, client: s.Connect("app")}
	b.run = func(name string) *catch.Catcher {
		others := b.others
		c, err := catch.New(catch.Config{
			Relay: s.Connect("relay"), Name: name, Router: func() *bridge.Router { return router }, Log: slog.New(slog.DiscardHandler),
			Others: func() int { return others },
		})
		require.NoError(t, err)
		natstest.Run(t, c.Run)
		return c
	}
	b.a, b.b = b.run("a"), b.run("b")
	return b
}

// stream makes RW_OUT as the outbox does for replicas.
func (b *bench) stream() jetstream.Stream {
	b.t.Helper()
	js, err := jetstream.New(b.stamp.Connect("relay"))
	require.NoError(b.t, err)
	s, err := js.CreateOrUpdateStream(b.t.Context(), jetstream.StreamConfig{
		Name: "RW_OUT", Subjects: []string{"put.sh.keptn.>"},
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: "put.>", Destination: "cap.>"},
	})
	require.NoError(b.t, err)
	return s
}

func (b *bench) publish(n int) {
	b.t.Helper()
	for range n {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"t","type":%q,"time":"2026-01-01T00:00:00Z",`+
			`"data":{"project":"p","stage":"dev","service":"s"},"shkeptncontext":"c%d"}`, b.sent, subject, b.sent%3)
		require.NoError(b.t, b.client.Publish(subject, []byte(body)))
		b.sent++
	}
	require.NoError(b.t, b.client.Flush())
}

// requireStored asks for everything that was published, once and in order for
// each context.
func (b *bench) requireStored(s jetstream.Stream) {
	b.t.Helper()
	var info *jetstream.StreamInfo
	require.Eventually(b.t, func() bool {
		var err error
		info, err = s.Info(b.t.Context())
		return err == nil && info.State.Msgs >= uint64(b.sent) && b.a.State().Waiting == 0 && b.b.State().Waiting == 0
	}, long, time.Millisecond)
	require.EqualValues(b.t, b.sent, info.State.Msgs)
	last := map[string]int{"c0": -3, "c1": -2, "c2": -1}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		require.NoError(b.t, err)
		require.Equal(b.t, "cap."+subject, m.Subject)
		e, err := bridge.Parse(subject, m.Data)
		require.NoError(b.t, err)
		id, err := strconv.Atoi(e.ID)
		require.NoError(b.t, err)
		require.Equal(b.t, last[e.Context]+3, id)
		last[e.Context] = id
	}
}

func TestOneStoresAndTheOtherForgets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.stream()
	b.a.SetActive(true)
	b.publish(500)
	b.requireStored(s)
}

// TestNextStoresWhatItWasNotToldOf: nobody is active while events come, and
// then the other one is than the one before.
func TestNextStoresWhatItWasNotToldOf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.stream()
	b.a.SetActive(true)
	b.publish(100)
	b.requireStored(s)
	b.a.SetActive(false)
	b.publish(100)
	require.Eventually(t, func() bool { return b.b.State().Waiting == 100 }, long, time.Millisecond)
	b.b.SetActive(true)
	b.publish(100)
	b.requireStored(s)
}

// TestStreamThatIsNotThereLosesNothing: events wait for the stream, and why is
// said.
func TestStreamThatIsNotThereLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.a.SetActive(true)
	b.publish(5000)
	require.Eventually(t, func() bool { return b.a.State().Err != "" }, long, time.Millisecond)
	require.ErrorContains(t, fmt.Errorf("%s", b.a.State().Err), "the stream has no leader")
	require.Eventually(t, func() bool { return b.a.State().Waiting == 5000 }, long, time.Millisecond)
	b.requireStored(b.stream())
	require.Empty(t, b.a.State().Err)
	require.Zero(t, b.a.State().Lost)
}

// TestStrayIsStored: the active one did not hear what another one did, as when
// that was cut off.
func TestStrayIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(1)
	require.Eventually(t, func() bool { return b.b.State().Waiting == 1 }, long, time.Millisecond)
	s := b.stream()
	late := b.run("late")
	late.SetActive(true)
	require.Eventually(t, func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.Msgs > 0
	}, long, 10*time.Millisecond)
	require.Zero(t, late.State().Waiting)
}

// TestNobodyStoresOutOfTurn: while nobody is active, everything waits for who
// will be, however long that takes, and keeps its order.
func TestNobodyStoresOutOfTurn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.stream()
	b.publish(300)
	<-time.After(6 * time.Second)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.State.Msgs)
	b.b.SetActive(true)
	b.publish(300)
	b.requireStored(s)
}

// TestNextAsksTheOthers: nobody is active for a while, and then one that has
// started meanwhile and has heard less than the others.
func TestNextAsksTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.stream()
	b.publish(100)
	require.Eventually(t, func() bool { return b.a.State().Waiting == 100 && b.b.State().Waiting == 100 }, long, time.Millisecond)
	b.others = 2
	c := b.run("c")
	b.publish(100)
	require.Eventually(t, func() bool { return c.State().Waiting == 100 }, long, time.Millisecond)
	c.SetActive(true)
	b.publish(100)
	b.requireStored(s)
	require.Zero(t, c.State().Waiting)
}
