package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// A basin is a sink that keeps what it is given, each event once.
type basin struct {
	mu     sync.Mutex // guards the following fields
	broken bool
	failed int
	events []bridge.Passing
	known  map[string]bool
}

func (*basin) Wants(subject string) bool { return subject == "sh.keptn.event.t.triggered" }

func (b *basin) Put(_ context.Context, events []bridge.Passing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		b.failed++
		return errors.New("broken")
	}
	for _, p := range events {
		if !b.known[string(p.Body)] {
			b.known[string(p.Body)] = true
			b.events = append(b.events, p)
		}
	}
	return nil
}

func (b *basin) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// TestSinkGetsWhatIsCaptured: what crosses and what must not, in order, but
// nothing that Keptn could not read; and it holds up nobody while it is broken.
func TestSinkGetsWhatIsCaptured(t *testing.T) {
	sink := &basin{known: map[string]bool{}, broken: true}
	s := newStopped(t)
	s.sinks = []bridge.Sink{sink}
	s.start()
	b := s.receiver("b")
	var want []string
	for i := range 50 {
		stage := "one"
		if i%5 == 0 {
			stage = "nowhere"
		}
		want = append(want, string(event(fmt.Sprint(i), stage, "k")))
		s.publish([]byte(want[i]))
	}
	s.publish([]byte(`{}`))
	require.Len(t, s.bodies(b, 40), 40, "its target has it")
	sink.set(func() { require.Empty(t, sink.events) })
	s.stop()
	require.EqualValues(t, 51, s.inOut(), "nothing is let go that the sink has not stored")
	s.start()
	sink.set(func() { sink.broken = false })
	s.settled()
	sink.set(func() {
		require.Len(t, sink.events, len(want))
		for i, p := range sink.events {
			require.True(t, p.Local)
			require.Equal(t, "sh.keptn.event.t.triggered", p.Subject)
			require.Equal(t, want[i], string(p.Body))
		}
		require.Positive(t, sink.failed)
	})
	for range 11 {
		select {
		case <-s.dead:
		case <-time.After(5 * time.Second):
			t.Fatal("what must not cross is set aside")
		}
	}
}
