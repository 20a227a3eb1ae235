package inbox_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/internal/natstest"
)

// A page is what was logged. It is safe for concurrent use.
type page struct {
	mu   sync.Mutex // guards the following field
	text strings.Builder
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) says(what string) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(p.text.String(), what)
	}
}

// TestEventThatIsGoneIsSaid: somebody removes an event that is held. That is logged,
// and what comes later is delivered.
func TestEventThatIsGoneIsSaid(t *testing.T) {
	gate := &barrier{wake: make(chan struct{}, 1)}
	rt := router(t, "a")
	log := &page{}
	r := &receiver{t: t, srv: natstest.StartStamp(t), dead: make(letters, 100)}
	r.edit = func(c *inbox.Config) {
		c.Me, c.Router, c.Gate, c.Log = "a", func() *bridge.Router { return rt }, gate, slog.New(slog.NewTextHandler(log, nil))
	}
	r.fed = r.srv.Connect("fed")
	r.start()
	js, err := jetstream.New(r.fed)
	require.NoError(t, err)
	in, err := js.Stream(t.Context(), inbox.StreamIn)
	require.NoError(t, err)
	r.answer("held")
	require.Eventually(t, func() bool { return gate.n() == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, in.DeleteMsg(t.Context(), 1))
	gate.release()
	require.Eventually(t, log.says("gone from its stream before it was settled\" stream=RW_IN n=1"), 5*time.Second, time.Millisecond)
	sub, err := r.srv.Connect("app").SubscribeSync(answer)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return r.srv.Interest(answer) }, 5*time.Second, time.Millisecond)
	r.answer("later")
	require.Contains(t, next(t, sub), `"id":"later"`)
}
