package hold_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/hold"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

var record = jetstream.StreamConfig{
	Name: "RW_STATE", Subjects: []string{"state.>"}, Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, Replicas: 1,
}

// A stamp is stamp s with a keeper and a clock.
type stamp struct {
	t   *testing.T
	srv *natstest.Stamp

	mu   sync.Mutex // guards the following fields
	now  time.Time
	told []hold.State
	n    int
}

func newStamp(t *testing.T) *stamp {
	t.Helper()
	return &stamp{t: t, srv: natstest.StartStamp(t), now: time.Now()}
}

func (s *stamp) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stamp) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *stamp) last() hold.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) == 0 {
		return hold.State{}
	}
	return s.told[len(s.told)-1]
}

func (s *stamp) keeper() *hold.Keeper {
	s.t.Helper()
	k, err := hold.New(hold.Config{
		Me: "s", Relay: s.srv.Connect("relay"), Stream: record, Log: slog.New(slog.DiscardHandler), Now: s.clock,
		Changed: func(now hold.State) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told = append(s.told, now)
		},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, k.Load(s.t.Context()))
	return k
}

func (s *stamp) order(v bridge.Verb) bridge.Order {
	s.n++
	return bridge.Order{ID: fmt.Sprintf("order-%04d", s.n), At: s.clock(), Verb: v, To: []topology.StampID{"r", "s"}, Reason: "release"}
}

func (s *stamp) do(k *hold.Keeper, o bridge.Order) hold.Outcome {
	s.t.Helper()
	out, err := k.Do(s.t.Context(), o, "anna", "UKEY", "hub")
	require.NoError(s.t, err)
	return out
}

// TestOrdersSurvive: what is in force outlives the process, and every keeper of
// the stamp finds the same; the same order does nothing twice.
func TestOrdersSurvive(t *testing.T) {
	s := newStamp(t)
	k := s.keeper()
	freeze := s.order(bridge.VerbFreeze)
	require.Equal(t, "frozen", s.do(k, freeze).Result)
	require.Equal(t, "frozen", s.last().Why())
	require.True(t, s.do(k, freeze).Repeated)
	require.Contains(t, s.do(k, s.order(bridge.VerbFreeze)).Result, "already")

	other := s.keeper()
	require.Equal(t, bridge.VerbFreeze, other.State().Mode)
	require.Equal(t, "anna", other.State().By)
	s.pass(time.Hour)
	require.Equal(t, "resumed, was frozen for 1h0m0s", s.do(other, s.order(bridge.VerbPromote)).Result)
	require.Equal(t, "it held nothing", s.do(k, s.order(bridge.VerbResume)).Result, "one keeper sees what another wrote")
	require.Contains(t, s.do(k, s.order(bridge.VerbDrain)).Result, "draining")
	all := s.keeper().State()
	require.False(t, all.Ended.IsZero())
	require.Len(t, all.Orders, 5)
	require.Equal(t, bridge.Done{
		ID: freeze.ID, At: all.Orders[0].At, Verb: bridge.VerbFreeze, By: "anna", Key: "UKEY", Via: "hub", Result: "frozen", Reason: "release",
	}, all.Orders[0])
}

// stream changes that of the record.
func (s *stamp) stream(edit func(*jetstream.StreamConfig)) {
	s.t.Helper()
	js, err := jetstream.New(s.srv.Connect("relay"))
	require.NoError(s.t, err)
	c := record
	edit(&c)
	_, err = js.UpdateStream(s.t.Context(), c)
	require.NoError(s.t, err)
}

// TestLostReply: the record has the order, and its keeper was not told. It is in
// force all the same, and given again it does nothing.
func TestLostReply(t *testing.T) {
	s := newStamp(t)
	k := s.keeper()
	s.stream(func(c *jetstream.StreamConfig) { c.NoAck = true })
	freeze := s.order(bridge.VerbFreeze)
	_, err := k.Do(t.Context(), freeze, "anna", "UKEY", "hub")
	require.Error(t, err)
	require.False(t, k.State().On())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Follow(ctx) }()
	require.Eventually(t, func() bool { return k.State().On() }, 10*time.Second, time.Millisecond)
	cancel()
	<-done
	require.Equal(t, "frozen", s.last().Why())
	require.True(t, s.do(k, freeze).Repeated)
}

// TestNotStored: an order that the store refuses is not in force, and is when it
// is given again.
func TestNotStored(t *testing.T) {
	s := newStamp(t)
	k := s.keeper()
	s.stream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 })
	freeze := s.order(bridge.VerbFreeze)
	_, err := k.Do(t.Context(), freeze, "anna", "UKEY", "hub")
	require.Error(t, err)
	require.False(t, k.State().On())
	s.stream(func(*jetstream.StreamConfig) {})
	require.False(t, s.do(k, freeze).Repeated)
	require.True(t, k.State().On())
}

// TestOrdersAreBounded: what is remembered does not grow without end.
func TestOrdersAreBounded(t *testing.T) {
	s := newStamp(t)
	k := s.keeper()
	for range hold.MaxKept + 3 {
		s.do(k, s.order(bridge.VerbFreeze))
	}
	all := s.keeper().State().Orders
	require.Len(t, all, hold.MaxKept)
	require.Equal(t, fmt.Sprintf("order-%04d", s.n), all[len(all)-1].ID)
	b, err := json.Marshal(all)
	require.NoError(t, err)
	require.Less(t, len(b), 256<<10)
}

// TestLevelEndsByItself: a log level that was set for a time is over after it.
func TestLevelEndsByItself(t *testing.T) {
	s := newStamp(t)
	k := s.keeper()
	o := s.order(bridge.VerbLevel)
	o.Level, o.For = "debug", time.Minute
	require.Contains(t, s.do(k, o).Result, "logs at level debug until ")
	require.Equal(t, "debug", s.last().Level)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { k.Follow(ctx) })
	defer wg.Wait()
	defer cancel()
	s.pass(2 * time.Minute)
	require.Eventually(t, func() bool { return s.last().Level == "" }, 20*time.Second, 10*time.Millisecond)
}

// TestOrdersThatAreRefused: old ones, those for others, and those that say nothing.
func TestOrdersThatAreRefused(t *testing.T) {
	s := newStamp(t)
	k := s.keeper()
	for why, change := range map[string]func(*bridge.Order){
		"seen before":   func(o *bridge.Order) { o.At = o.At.Add(-6 * time.Minute) },
		"not for stamp": func(o *bridge.Order) { o.To = []topology.StampID{"r"} },
		"a line":        func(o *bridge.Order) { o.Reason = "a\x1b[2J" },
		"no reason":     func(o *bridge.Order) { o.Reason = "" },
		"no id":         func(o *bridge.Order) { o.ID = "1" },
		"does not know": func(o *bridge.Order) { o.Verb = "explode" },
		"no log level":  func(o *bridge.Order) { o.Verb, o.Level = bridge.VerbLevel, "loud" },
		"at most":       func(o *bridge.Order) { o.Verb, o.For = bridge.VerbLevel, 25*time.Hour },
	} {
		o := s.order(bridge.VerbFreeze)
		change(&o)
		_, err := k.Do(t.Context(), o, "anna", "UKEY", "hub")
		require.ErrorContains(t, err, why)
	}
	require.Empty(t, k.State().Orders)
}
