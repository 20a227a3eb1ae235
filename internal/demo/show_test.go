package demo_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/internal/natstest"
)

// A toy is a federation of plain servers, hub, dev and prod, with a bridge of
// a few lines between them that can be told to misbehave.
type toy struct {
	stamps []demo.StampInfo
	conns  map[string]*nats.Conn
	fault  func(subject string) int // copies of what crosses; nil is 1

	mu  sync.Mutex
	cut map[string][]*nats.Msg // not nil while a stamp is cut off: what waits
}

func newToy(t *testing.T, fault func(string) int) *toy {
	t.Helper()
	f := &toy{conns: map[string]*nats.Conn{}, cut: map[string][]*nats.Msg{}, fault: fault}
	for _, name := range []string{"hub", "dev", "prod"} {
		srv := natstest.Start(t)
		f.conns[name] = srv.Connect()
		f.stamps = append(f.stamps, demo.StampInfo{
			Name: name, URL: srv.URL(), Control: name == "hub", Execution: name != "hub",
		})
	}
	for stamp, nc := range f.conns {
		_, err := nc.Subscribe("sh.keptn.event.>", func(m *nats.Msg) { // one, which keeps the order
			answer := strings.Count(m.Subject, ".") == 4 && !strings.HasSuffix(m.Subject, ".triggered")
			if answer == (stamp == "hub") {
				return
			}
			to, _ := f.Route(stamp, m.Data)
			for _, to := range to {
				f.carry(stamp, to, m)
			}
		})
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
	}
	return f
}

// carry takes m from one stamp to another, or keeps it while one is cut off.
func (f *toy) carry(from, to string, m *nats.Msg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range []string{from, to} {
		if f.cut[s] != nil {
			f.cut[s] = append(f.cut[s], &nats.Msg{Subject: m.Subject, Data: m.Data, Reply: to})
			return
		}
	}
	n := 1
	if f.fault != nil {
		n = f.fault(m.Subject)
	}
	for range n {
		_ = f.conns[to].Publish(m.Subject, m.Data)
	}
}

func (f *toy) Stamps() []demo.StampInfo   { return f.stamps }
func (f *toy) Links() []demo.LinkInfo     { return nil }
func (f *toy) Stop(context.Context) error { return nil }

func (f *toy) Route(from string, event []byte) ([]string, bool) {
	var e struct{ Data struct{ Stage string } }
	switch err := json.Unmarshal(event, &e); {
	case err != nil:
		return nil, false
	case from != "hub":
		return []string{"hub"}, false
	case e.Data.Stage == "dev":
		return []string{"dev"}, false
	case e.Data.Stage == "production":
		return []string{"prod", "dev"}, false
	}
	return nil, false
}

func (f *toy) Cut(stamp string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[stamp] = []*nats.Msg{}
	return nil
}

func (f *toy) Heal(stamp string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.cut[stamp] {
		_ = f.conns[m.Reply].Publish(m.Subject, m.Data)
	}
	delete(f.cut, stamp)
	return nil
}

func runShow(t *testing.T, cfg demo.ShowConfig) (demo.Summary, []string) {
	t.Helper()
	var mu sync.Mutex
	var said []string
	cfg.OnLog = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
	}
	cfg.Linger = 50 * time.Millisecond
	show, err := demo.NewShow(cfg)
	require.NoError(t, err)
	ready := false
	sum, err := show.Run(t.Context(), func() { ready = true })
	require.NoError(t, err)
	require.True(t, ready)
	require.Equal(t, "over", show.Snapshot().Phase)
	return sum, said
}

// control returns the control plane of the toy, in a hurry.
func control(flow demo.Flow) []demo.ControlSpec {
	if len(flow.Stages) == 0 {
		flow.Stages = []string{"dev", "nowhere", "production"}
	}
	return []demo.ControlSpec{{Stamp: "hub", Flow: flow}}
}

func TestShowLosesNothing(t *testing.T) {
	sum, _ := runShow(t, demo.ShowConfig{Federation: newToy(t, nil), Controls: control(demo.Flow{}), Events: 1000})
	require.True(t, sum.OK, "%+v", sum)
	require.Greater(t, sum.Sent, 1000-1)
	require.Equal(t, sum.Sent, sum.Delivered)
	require.Equal(t, sum.Sequences, sum.Completed)
	require.Equal(t, 6*sum.Sequences, sum.Tasks)
	require.Equal(t, 2*sum.Sequences, sum.Unrouted, "no stamp has stage nowhere")
	require.Len(t, sum.Pairs, 4)
	require.Zero(t, sum.Failed+sum.Hung)
	out, err := json.Marshal(sum)
	require.NoError(t, err)
	for _, key := range []string{"sent", "delivered", "lost", "duplicated", "waited", "delay_ms", "cuts", "pairs", "stamps", "ok"} {
		require.Contains(t, string(out), `"`+key+`":`)
	}
}

func TestShowRidesOutACut(t *testing.T) {
	sum, said := runShow(t, demo.ShowConfig{
		Federation: newToy(t, nil), Controls: control(demo.Flow{Rate: 50}), For: 600 * time.Millisecond,
		Cuts: []demo.CutSpec{{Stamp: "dev", After: 100 * time.Millisecond, For: 200 * time.Millisecond}},
	})
	require.True(t, sum.OK, "%+v", sum)
	require.Positive(t, sum.Waited)
	require.Len(t, sum.Cuts, 1)
	require.NotNil(t, sum.Cuts[0].FirstMS)
	require.Zero(t, sum.Cuts[0].Missing)
	require.Contains(t, strings.Join(said, "\n"), "dev has caught up")
}

func TestShowSeesDuplicates(t *testing.T) {
	f := newToy(t, func(subject string) int {
		if subject == "sh.keptn.event.test.started" {
			return 2
		}
		return 1
	})
	sum, said := runShow(t, demo.ShowConfig{
		Federation: f, Controls: control(demo.Flow{Stages: []string{"dev"}, TaskTimeout: 200 * time.Millisecond}), Events: 10,
	})
	require.False(t, sum.OK)
	require.Equal(t, sum.Sequences, sum.Duplicated)
	require.Equal(t, sum.Sequences, sum.Hung, "a second .started hangs a task for ever")
	require.Equal(t, 2, sum.Hangs[0].Started)
	require.Contains(t, strings.Join(said, "\n"), "task test in dev hangs: 2 started, 1 finished")
}

func TestShowSeesLosses(t *testing.T) {
	f := newToy(t, func(subject string) int {
		if strings.HasSuffix(subject, "deployment.finished") {
			return 0
		}
		return 1
	})
	sum, _ := runShow(t, demo.ShowConfig{
		Federation: f, Controls: control(demo.Flow{Stages: []string{"dev"}, TaskTimeout: 100 * time.Millisecond}),
		Events: 1, Drain: 100 * time.Millisecond,
	})
	require.False(t, sum.OK)
	require.Equal(t, 1, sum.Lost)
	require.Equal(t, 1, sum.Hung)
}

func TestShowCountsLateAnswers(t *testing.T) {
	// Two stamps and no barrier: what the slower one answers may come late, but
	// is neither lost nor a duplicate.
	f := newToy(t, nil)
	sum, _ := runShow(t, demo.ShowConfig{
		Federation: f, Controls: control(demo.Flow{Stages: []string{"production"}, Rate: 20}), For: 500 * time.Millisecond,
		Cuts: []demo.CutSpec{{Stamp: "dev", For: 400 * time.Millisecond}},
	})
	require.True(t, sum.OK, "%+v", sum)
	require.Positive(t, sum.Late)
}

func TestShowRefusesWhatCannotBe(t *testing.T) {
	f := newToy(t, nil)
	for name, cfg := range map[string]demo.ShowConfig{
		"no control plane":     {Federation: f},
		"control plane astray": {Federation: f, Controls: []demo.ControlSpec{{Stamp: "mars"}}},
		"cut astray":           {Federation: f, Controls: control(demo.Flow{}), Cuts: []demo.CutSpec{{Stamp: "mars"}}},
	} {
		_, err := demo.NewShow(cfg)
		require.Error(t, err, name)
	}
}

func TestDriveNeedsRun(t *testing.T) {
	l := demo.NewLedger(demo.LedgerConfig{})
	c, err := demo.NewControlPlane(demo.ControlConfig{URL: "nats://127.0.0.1:1", Seat: l.Join(demo.NewControlParty("hub"))})
	require.NoError(t, err)
	require.ErrorIs(t, c.Drive(t.Context(), 1), demo.ErrOver)
}
