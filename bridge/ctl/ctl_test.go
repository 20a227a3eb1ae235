package ctl_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/topology"
)

// serve answers for a stamp with a word.
func serve(t *testing.T, nc *nats.Conn, me topology.StampID, answer func(context.Context) (any, error)) (stop func()) {
	t.Helper()
	s, err := ctl.NewServer(ctl.ServerConfig{
		Me: me, Fed: nc, Version: "v1.2.3", About: map[string]string{"stamp": string(me)}, Log: slog.New(slog.DiscardHandler),
		May: func(from topology.StampID, _ string) error {
			if from == "stranger" {
				return errors.New("we do not know you")
			}
			return nil
		},
		Answers: map[string]func(context.Context) (any, error){bridge.ShowStatus: answer},
	})
	require.NoError(t, err)
	stop = natstest.Run(t, s.Run).Stop
	require.NoError(t, nc.Flush()) // others find it from now on
	return stop
}

func word(w string) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return w, nil }
}

func asker(t *testing.T, nc *nats.Conn, me topology.StampID) *ctl.Asker {
	t.Helper()
	a := ctl.NewAsker(me, nc)
	natstest.Run(t, a.Run)
	return a
}

// TestAskSaysOfEachWhatCameOfIt: many are asked at once, and each one that does
// not answer has a reason of its own.
func TestAskSaysOfEachWhatCameOfIt(t *testing.T) {
	srv := natstest.Start(t)
	a := asker(t, srv.Connect(), "a")
	release := make(chan struct{})
	serve(t, srv.Connect(), "b", word("hello"))
	serve(t, srv.Connect(), "c", func(context.Context) (any, error) { return nil, errors.New("no disk") })
	serve(t, srv.Connect(), "slow", func(context.Context) (any, error) { <-release; return "late", nil })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	all := a.Ask(ctx, bridge.ShowStatus, []topology.StampID{"b", "c", "gone", "slow"})
	require.Len(t, all, 4)
	require.NoError(t, all[0].Err)
	require.Equal(t, `"hello"`, string(all[0].Body))
	require.ErrorContains(t, all[1].Err, "no disk")
	require.ErrorIs(t, all[2].Err, ctl.ErrNoWay)
	require.ErrorIs(t, all[3].Err, ctl.ErrNoAnswer)

	stranger := asker(t, srv.Connect(), "stranger")
	refused := stranger.Ask(t.Context(), bridge.ShowStatus, []topology.StampID{"b"})
	require.ErrorIs(t, refused[0].Err, ctl.ErrRefused)
	require.ErrorContains(t, refused[0].Err, "we do not know you")
}

// TestAsksAgainOnce: one that was not there at first, as after a restart, is
// asked again.
func TestAsksAgainOnce(t *testing.T) {
	srv := natstest.Start(t)
	a := asker(t, srv.Connect(), "a")
	got := make(chan []ctl.Answer, 1)
	asked := srv.Connect()
	hears, err := asked.SubscribeSync(bridge.CtlSubject("b", "a", bridge.ShowStatus))
	require.NoError(t, err)
	require.NoError(t, asked.Flush())
	go func() { got <- a.Ask(t.Context(), bridge.ShowStatus, []topology.StampID{"b"}) }()
	_, err = hears.NextMsg(10 * time.Second) // and says nothing
	require.NoError(t, err)
	serve(t, srv.Connect(), "b", word("back"))
	all := <-got
	require.NoError(t, all[0].Err)
	require.Equal(t, `"back"`, string(all[0].Body))
}

// TestAnswerOfAnotherCountsNot: only the stamp that was asked can answer.
func TestAnswerOfAnotherCountsNot(t *testing.T) {
	srv := natstest.Start(t)
	a := asker(t, srv.Connect(), "a")
	nc := srv.Connect()
	forge := srv.Connect()
	_, err := nc.Subscribe(bridge.CtlSubject("b", "a", bridge.ShowStatus), func(m *nats.Msg) {
		_, _, rest, _ := bridge.Address(m.Reply)
		_ = forge.Publish(bridge.CtlSubject("a", "evil", rest), []byte(`"forged"`)) // it is a test of what follows
		_ = forge.Flush()
		_ = m.Respond([]byte(`"mine"`))
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	all := a.Ask(t.Context(), bridge.ShowStatus, []topology.StampID{"b"})
	require.NoError(t, all[0].Err)
	require.Equal(t, `"mine"`, string(all[0].Body))
}

// TestWithoutTheRightToBeFound: with tokens of before, which do not let a gateway
// hear who looks for services, it answers all the same.
func TestWithoutTheRightToBeFound(t *testing.T) {
	srv := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "old", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"rw.v1.>", "_INBOX.>"}}}},
			{Username: "new"},
		}
	})
	var mu sync.Mutex
	var refused error
	nc := srv.Connect(nats.UserInfo("old", ""), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		refused = err
	}))
	serve(t, nc, "b", word("hello"))
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return errors.Is(refused, nats.ErrPermissionViolation)
	}, 10*time.Second, time.Millisecond)
	a := asker(t, srv.Connect(nats.UserInfo("new", "")), "a")
	require.NoError(t, a.Ask(t.Context(), bridge.ShowStatus, []topology.StampID{"b"})[0].Err)
}

// TestIsFound: NATS's own tools list it.
func TestIsFound(t *testing.T) {
	srv := natstest.Start(t)
	stop := serve(t, srv.Connect(), "b", word("hello"))
	nc := srv.Connect()
	m, err := nc.Request("$SRV.INFO."+ctl.Service, nil, 10*time.Second)
	require.NoError(t, err)
	var info micro.Info
	require.NoError(t, json.Unmarshal(m.Data, &info))
	require.Equal(t, "1.2.3", info.Version)
	require.Equal(t, map[string]string{"stamp": "b"}, info.Metadata)
	require.Len(t, info.Endpoints, 1)
	require.Equal(t, "status", info.Endpoints[0].Name)
	stop()
	require.Eventually(t, func() bool {
		_, err := nc.Request("$SRV.INFO."+ctl.Service, nil, 10*time.Second)
		return errors.Is(err, nats.ErrNoResponders)
	}, 10*time.Second, time.Millisecond)
}
