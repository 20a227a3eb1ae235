package canary

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// errNoWay reports the server's word that nobody hears a question.
var errNoWay = errors.New("no way to the stamp, or its gateway is down")

// Ask asks stamp to one question of its own, besides those of Run, as Once does.
func (a *Asker) Ask(ctx context.Context, to topology.StampID) error {
	return Once(ctx, a.cfg.Fed, a.cfg.Me, to)
}

// Once asks stamp to one question and waits for the answer until ctx is done.
// It is for those that run no Asker. An error says that there is no way, that
// nothing came, or why the stamp could not store events.
func Once(ctx context.Context, fed *nats.Conn, me, to topology.StampID) error {
	name := strings.ToLower(rand.Text())
	sub, err := fed.SubscribeSync(bridge.CanaryAnswersFor(me, name))
	if err != nil {
		return fmt.Errorf("subscribe canary answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	m := nats.NewMsg(bridge.CanaryAsk(to, me))
	m.Reply = bridge.CanaryAnswer(me, to, name)
	m.Data, _ = json.Marshal(question{N: 1, Asker: name, Asked: time.Now().UnixNano()}) // numbers and a name
	if err = fed.PublishMsg(m); err != nil {
		return fmt.Errorf("ask stamp %s: %w", to, err)
	}
	var ans answer
	m, err = sub.NextMsgWithContext(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("no answer in time")
	case err == nil && m.Header.Get("Status") == "503":
		err = errNoWay
	case err == nil:
		err = json.Unmarshal(m.Data, &ans)
	}
	if err == nil && ans.Err != "" {
		err = errors.New(ans.Err)
	}
	if err != nil {
		return fmt.Errorf("canary to stamp %s: %w", to, err)
	}
	return nil
}
