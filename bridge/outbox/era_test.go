package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/outbox"
)

// moved sends to c what federation sends to b.
var moved = strings.Replace(federation, "name: one, ring: dev, stamps: [b]", "name: one, ring: dev, stamps: [c]", 1)

// A history has one topology in force, and tells its document.
type history struct {
	t   *testing.T
	now atomic.Pointer[epoch]
	bad bool // no document can be read again
}

type epoch struct {
	document string
	router   *bridge.Router
	since    time.Time
}

func (h *history) set(document string) {
	h.now.Store(&epoch{document, routerOf(h.t, "a", document), time.Now()})
}

func (h *history) router() *bridge.Router { return h.now.Load().router }

func (h *history) Of(r *bridge.Router) (outbox.Era, bool) {
	e := h.now.Load()
	return outbox.Era{Hash: fmt.Sprint(len(e.document), strings.Index(e.document, "[c]")), Document: []byte(e.document), Since: e.since}, e.router == r
}

func (h *history) Router(e outbox.Era) (*bridge.Router, error) {
	if h.bad {
		return nil, errors.New("a key of another version")
	}
	return routerOf(h.t, "a", string(e.Document)), nil
}

// newHistorian is a sender that keeps what decided, and has not begun.
func newHistorian(t *testing.T) (*sender, *history) {
	t.Helper()
	s, h := newStopped(t), &history{t: t}
	h.set(federation)
	s.routers, s.eras = h.router, h
	js, err := jetstream.New(s.srv.Connect("relay"))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "RW_STATE", Subjects: []string{"state.>"}, MaxMsgsPerSubject: 1})
	require.NoError(t, err)
	return s, h
}

// store publishes and waits until RW_OUT has it, for its time to be before what
// the test does next: Flush alone says that the server has it.
func (s *sender) store(body []byte) {
	s.t.Helper()
	last := func() uint64 {
		st, err := s.js.Stream(s.t.Context(), outbox.StreamOut)
		require.NoError(s.t, err)
		return st.CachedInfo().State.LastSeq
	}
	before := last()
	s.publish(body)
	require.Eventually(s.t, func() bool { return last() > before }, 10*time.Second, time.Millisecond)
}

// requireAt waits until nothing is under way, and looks which events b and c have.
func (s *sender) requireAt(b, c []string) {
	s.t.Helper()
	at := func(st jetstream.Stream, want []string) {
		s.t.Helper()
		for i, body := range s.bodies(st, len(want)) {
			require.Contains(s.t, body, fmt.Sprintf(`"id":%q`, want[i]))
		}
		info, err := st.Info(s.t.Context())
		require.NoError(s.t, err)
		require.EqualValues(s.t, len(want), info.State.Msgs)
	}
	stB, stC := s.receiver("b"), s.receiver("c")
	s.settled()
	at(stB, b)
	at(stC, c)
}

// What was captured before a restart goes where it would have gone, whatever
// the topology says by then; what comes later goes by that.
func TestTopologyThatChangesWhileDownMovesNothingUnderWay(t *testing.T) {
	t.Parallel()
	s, h := newHistorian(t)
	s.start()
	s.store(event("1", "one", "k")) // nobody stores it yet
	s.stop()
	s.store(event("2", "one", "k"))
	h.set(moved)
	s.store(event("3", "one", "k")) // the server runs, and the bridge does not yet
	s.start()
	s.requireAt([]string{"1", "2"}, []string{"3"})
	s.stop()

	s.store(event("4", "one", "k"))
	s.start() // the same topology
	s.store(event("5", "one", "k"))
	s.requireAt([]string{"1", "2"}, []string{"3", "4", "5"})
}

// A change that came live holds from the same event on when all is read again.
func TestLiveChangeHoldsOverARestart(t *testing.T) {
	t.Parallel()
	s, h := newHistorian(t)
	s.start()
	s.store(event("1", "one", "k"))
	require.Eventually(t, func() bool { return len(s.out.Lanes()) == 1 }, 5*time.Second, time.Millisecond) // it was read
	h.set(moved)
	require.NoError(t, s.out.NoteTopology(t.Context()))
	s.store(event("2", "one", "k"))
	s.stop() // nobody has stored anything, and whether this was read is not known
	h.set(federation)
	s.start()
	s.store(event("3", "one", "k"))
	s.requireAt([]string{"1", "3"}, []string{"2"})
}

// A change that cannot be noted, for the store is out of order, is noted once it
// can, and who puts it in force is not held up for longer than it waits.
func TestChangeThatCannotBeNotedIsNotedLater(t *testing.T) {
	t.Parallel()
	s, h := newHistorian(t)
	s.start()
	s.store(event("1", "one", "k"))
	require.Eventually(t, func() bool { return len(s.out.Lanes()) == 1 }, 5*time.Second, time.Millisecond)
	store := jetstream.StreamConfig{Name: "RW_STATE", Subjects: []string{"state.>"}, MaxMsgsPerSubject: 1, MaxMsgSize: 1}
	_, err := s.js.UpdateStream(t.Context(), store)
	require.NoError(t, err)
	h.set(moved)
	for range 2 {
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		require.ErrorIs(t, s.out.NoteTopology(short), context.DeadlineExceeded)
		cancel()
	}
	s.store(event("2", "one", "k")) // the reader waits for the store now
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.out.NoteTopology(short), context.DeadlineExceeded)
	store.MaxMsgSize = -1
	_, err = s.js.UpdateStream(t.Context(), store)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.out.Lanes()) == 2 }, 5*time.Second, time.Millisecond)
	s.stop() // nobody has stored anything
	h.set(federation)
	s.start()
	s.requireAt([]string{"1"}, []string{"2"})
}

// A topology that another version wrote, and a note that nobody can read, do
// not stop events.
func TestPastThatCannotBeReadDecidesNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*sender, *history){
		"topology": func(_ *sender, h *history) { h.bad = true },
		"note": func(s *sender, _ *history) {
			_, err := s.js.PublishMsg(s.t.Context(), &nats.Msg{Subject: "state.routing", Data: []byte("{")})
			require.NoError(s.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h := newHistorian(t)
			s.start()
			s.stop()
			s.store(event("1", "one", "k"))
			h.set(moved)
			spoil(s, h)
			s.start()
			s.store(event("2", "one", "k"))
			s.requireAt(nil, []string{"1", "2"})
		})
	}
}

// To be told to stop is no failure, also in the middle of an event that waits for
// the store.
func TestStopWhileAnEventWaits(t *testing.T) {
	t.Parallel()
	s, h := newHistorian(t)
	s.start()
	_, err := s.js.UpdateStream(t.Context(), jetstream.StreamConfig{Name: "RW_STATE", Subjects: []string{"state.>"}, MaxMsgsPerSubject: 1, MaxMsgSize: 1})
	require.NoError(t, err)
	h.set(moved)
	s.store(event("1", "one", "k"))
	require.Eventually(t, func() bool { // until it is the reader that waits
		short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		return strings.HasPrefix(s.out.NoteTopology(short).Error(), "note the topology")
	}, 5*time.Second, time.Millisecond)
	s.stop()
}
