package fed

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/federation"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// Patience is how long a test waits for what must happen.
const Patience = 20 * time.Second

// A Fed is a running federation. Its methods fail the test.
type Fed struct {
	*federation.Federation
	Dir string // what it keeps on disk: see federation.Config

	t     testing.TB
	board *board
}

// New starts every stamp of a topology and waits until all links are up. All
// of it ends with the test, and nothing of it may be left then: see NoLeaks. Each
// of options may change those of a stamp.
func New(t testing.TB, topologyYAML string, options ...func(*gateway.Options)) *Fed {
	t.Helper()
	f := Prepare(t, topologyYAML, options...)
	require.NoError(t, f.Start(t.Context()))
	f.Linked()
	return f
}

// Prepare is New without starting anything. Each of options may change those
// of a stamp.
func Prepare(t testing.TB, topologyYAML string, options ...func(*gateway.Options)) *Fed {
	t.Helper()
	NoLeaks(t)
	f := &Fed{Dir: t.TempDir(), t: t, board: newBoard(t)}
	var err error
	f.Federation, err = federation.New(federation.Config{
		Topology: []byte(topologyYAML), Dir: f.Dir, Board: f.board,
		Log: logger(t), Now: time.Now,
		Options: func(o *gateway.Options) {
			for _, edit := range options {
				edit(o)
			}
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// logger keeps what gateways say in the file that RINGWAY_TEST_LOG names; in
// none by default.
func logger(t testing.TB) *slog.Logger {
	name := os.Getenv("RINGWAY_TEST_LOG")
	if name == "" {
		return slog.New(slog.DiscardHandler)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // whoever runs the test says which
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Status returns the status of a running stamp.
func (f *Fed) Status(stamp topology.StampID) gateway.Status {
	f.t.Helper()
	g := f.Stamp(stamp).Gateway()
	require.NotNil(f.t, g, "stamp %s does not run", stamp)
	return g.Status()
}

// Linked waits until every link of every running stamp is up.
func (f *Fed) Linked() {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		for _, s := range f.Stamps() {
			for i := range max(s.Replicas, 1) {
				if g := s.Replica(i).Gateway(); g != nil && !up(g.Status()) {
					return false
				}
			}
		}
		return true
	}, Patience, 5*time.Millisecond, "links do not come up")
}

func up(s gateway.Status) bool {
	for _, l := range s.Links {
		if !l.Up {
			return false
		}
	}
	return true
}

// Down waits until a stamp has noticed that a link is down.
func (f *Fed) Down(stamp topology.StampID) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return !up(f.Status(stamp)) }, Patience, 5*time.Millisecond)
}

// Cut takes a stamp off the network; Heal brings it back.
func (f *Fed) Cut(stamp topology.StampID) { f.board.setCut(string(stamp), true) }

// Heal undoes Cut, Delay and BlackHole.
func (f *Fed) Heal(stamp topology.StampID) {
	f.board.clear(string(stamp))
	f.board.setCut(string(stamp), false)
}

// Delay slows every line of a stamp down by d in each direction.
func (f *Fed) Delay(stamp topology.StampID, d time.Duration) {
	f.board.addToxic(string(stamp), "latency", &toxics.LatencyToxic{Latency: d.Milliseconds()})
}

// BlackHole lets nothing through any more, while connections stay open.
func (f *Fed) BlackHole(stamp topology.StampID) {
	f.board.addToxic(string(stamp), "timeout", &toxics.TimeoutToxic{Timeout: 0})
}

// Mute is BlackHole in one direction only: "upstream" is from who dialled, and
// "downstream" back to it.
func (f *Fed) Mute(stamp topology.StampID, direction string) {
	f.board.addToxic(string(stamp), "timeout", &toxics.TimeoutToxic{Timeout: 0}, direction)
}

func toxicJSON(name, kind, stream string, attributes any) io.Reader {
	b, _ := json.Marshal(map[string]any{"name": name, "type": kind, "stream": stream, "attributes": attributes}) // numbers only
	return bytes.NewReader(b)
}

// Stop ends a stamp's gateway in order; Start runs it again.
func (f *Fed) Stop(stamp topology.StampID) { require.NoError(f.t, f.Stamp(stamp).Stop()) }

// Restart runs a stopped stamp again.
func (f *Fed) Restart(stamp topology.StampID) {
	require.NoError(f.t, f.Stamp(stamp).Start(f.t.Context()))
}

// Replica returns the i-th replica of a stamp, from 0.
func (f *Fed) Replica(stamp topology.StampID, i int) *federation.Replica {
	return f.Stamp(stamp).Replica(i)
}

// StopReplica ends one replica of a stamp in order.
func (f *Fed) StopReplica(stamp topology.StampID, i int) {
	f.t.Helper()
	require.NoError(f.t, f.Replica(stamp, i).Stop())
}

// StartReplica runs a stopped replica again.
func (f *Fed) StartReplica(stamp topology.StampID, i int) {
	f.t.Helper()
	require.NoError(f.t, f.Replica(stamp, i).Start(f.t.Context()))
}

// Active waits until a replica of a stamp moves events and returns its number.
func (f *Fed) Active(stamp topology.StampID) int {
	f.t.Helper()
	s, active := f.Stamp(stamp), -1
	require.Eventually(f.t, func() bool {
		r := s.Active()
		for i := range max(s.Replicas, 1) {
			if r != nil && s.Replica(i) == r {
				active = i
			}
		}
		return active >= 0
	}, Patience, time.Millisecond, "no replica of %s is active", stamp)
	return active
}

// Client returns a connection of a plain client of a stamp: no credentials,
// as Keptn's programs connect.
func (f *Fed) Client(stamp topology.StampID) *nats.Conn {
	f.t.Helper()
	nc, err := nats.Connect(f.Stamp(stamp).URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), natstest.OneConnection())
	require.NoError(f.t, err)
	f.t.Cleanup(nc.Close)
	return nc
}

// Publish publishes as a plain client and returns when the server has it.
func (f *Fed) Publish(stamp topology.StampID, subject string, bodies ...[]byte) {
	f.t.Helper()
	nc := f.Client(stamp)
	for _, b := range bodies {
		require.NoError(f.t, nc.Publish(subject, b))
	}
	require.NoError(f.t, nc.Flush())
}

// A Tap is a plain client that listens.
type Tap struct {
	t    testing.TB
	sub  *nats.Subscription
	conn *nats.Conn
	wait time.Duration
}

// Tap subscribes in a stamp, in a queue group if queue is not empty.
func (f *Fed) Tap(stamp topology.StampID, subject, queue string) *Tap {
	f.t.Helper()
	nc := f.Client(stamp)
	sub, err := nc.QueueSubscribeSync(subject, queue)
	require.NoError(f.t, err)
	require.NoError(f.t, sub.SetPendingLimits(-1, -1))
	require.NoError(f.t, nc.Flush())
	return &Tap{t: f.t, sub: sub, conn: nc, wait: Patience}
}

// Patient has the tap wait for d for a message, in place of Patience.
func (p *Tap) Patient(d time.Duration) *Tap {
	p.wait = d
	return p
}

// Next waits for a message.
func (p *Tap) Next() *nats.Msg {
	p.t.Helper()
	m, err := p.sub.NextMsg(p.wait)
	require.NoError(p.t, err)
	return m
}

// Bodies waits for n messages.
func (p *Tap) Bodies(n int) []string {
	p.t.Helper()
	out := make([]string, n)
	for i := range out {
		out[i] = string(p.Next().Data)
	}
	return out
}

// Rest returns what has been sent to the client by now, besides what was taken.
func (p *Tap) Rest() []string {
	p.t.Helper()
	require.NoError(p.t, p.conn.Flush())
	n, _, err := p.sub.Pending()
	require.NoError(p.t, err)
	return p.Bodies(n)
}

// Close ends the client.
func (p *Tap) Close() { p.conn.Close() }
