package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/bridge/outbox"
)

// openTime is how long a part may take to begin when it does so for the first
// time; each further try may take twice as long. A question that comes at the
// moment of an election is not answered, and asked again too late.
const openTime = 1500 * time.Millisecond

// lookLeaders is how often an active replica looks at who leads its streams.
const lookLeaders = 100 * time.Millisecond

// A tide tells the parts of an active replica that a leader of their streams
// has changed, or that another replica is gone. What they had asked of it will
// not be answered, which a NATS client finds out only some heartbeats later: so
// they begin anew, which costs a fraction of a second and loses nothing.
type tide struct {
	g *Gateway
	c *conns

	mu   sync.Mutex    // guards the following field
	turn chan struct{} // closed at the next change
}

func (g *Gateway) newTide(c *conns) *tide { return &tide{g: g, c: c, turn: make(chan struct{})} }

// next returns a channel that is closed at the next change.
func (t *tide) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.turn
}

// watch looks until ctx ends.
func (t *tide) watch(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(lookLeaders)
	defer tick.Stop()
	last := make([]string, len(t.questions()))
	var peers []string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := t.leaders(ctx)
		if err != nil {
			continue // there is none now
		}
		seen := t.g.node.Replicas().Peers
		turned := slices.ContainsFunc(peers, func(p string) bool { return !slices.Contains(seen, p) })
		for i, leader := range now {
			turned = turned || last[i] != "" && last[i] != leader
		}
		last, peers = now, seen
		if turned {
			t.mu.Lock()
			close(t.turn)
			t.turn = make(chan struct{})
			t.mu.Unlock()
		}
	}
}

// A question is a stream by the connection of its account.
type question struct {
	nc     *nats.Conn
	stream string
}

func (t *tide) questions() []question {
	return []question{{t.c.relay, outbox.StreamOut}, {t.c.relay, inbox.StreamState}, {t.c.fed, inbox.StreamIn}}
}

// leaders returns who leads each stream; empty for one that is not there. It
// fails if one has no leader.
func (t *tide) leaders(ctx context.Context) ([]string, error) {
	var out []string
	for _, q := range t.questions() {
		js, err := jetstream.New(q.nc, jetstream.WithDefaultTimeout(ask))
		if err != nil {
			return nil, err
		}
		s, err := js.Stream(ctx, q.stream)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			out = append(out, "")
		case err != nil:
			return nil, err
		case s.CachedInfo().Cluster == nil || s.CachedInfo().Cluster.Leader == "":
			return nil, errors.New("no leader")
		default:
			out = append(out, s.CachedInfo().Cluster.Leader)
		}
	}
	return out, nil
}

// anew runs a part, and runs it again at every turn of the tide.
func (t *tide) anew(run func(context.Context, func()) error) func(context.Context, func()) error {
	return func(ctx context.Context, ready func()) error {
		for limit := openTime; ; {
			turn := t.next()
			if err := t.g.settled(ctx, t.c); err != nil {
				return nil //nolint:nilerr // told to stop
			}
			term, stop := context.WithCancel(ctx)
			late := time.AfterFunc(limit, stop)
			var watch sync.WaitGroup
			watch.Go(func() {
				select {
				case <-turn:
					stop()
				case <-term.Done():
				}
			})
			err := run(term, func() {
				late.Stop()
				limit = openTime / 2
				ready()
			})
			late.Stop()
			again := term.Err() != nil && ctx.Err() == nil
			stop()
			watch.Wait()
			if !again {
				return err
			}
			limit *= 2
			t.g.log.Debug("part begins anew", "after", limit, "err", err)
		}
	}
}
