package node

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// lookEvery is how often the links are looked at though no server has said
	// anything. A look costs some microseconds a link.
	lookEvery = 5 * time.Second
	// lookSoon is how long after a line of a server's log they are looked at
	// as well: the server speaks a moment before it acts.
	lookSoon = 15 * time.Millisecond
)

// A tracker remembers since when each link is as it is, and why.
type tracker struct {
	log    *slog.Logger
	tell   func(LinkState)
	kicked chan struct{} // one place: a look is due

	mu     sync.Mutex
	state  []LinkState
	recent []string // the last lines that tell of trouble, oldest first
}

// keep is how many lines of trouble are remembered: the reason why a link is
// down may be told before it is seen to be down.
const keep = 32

func newTracker(log *slog.Logger, tell func(LinkState)) *tracker {
	return &tracker{log: log.With("component", "links"), tell: tell, kicked: make(chan struct{}, 1)}
}

// watch calls observe again and again until ctx is cancelled.
func (t *tracker) watch(ctx context.Context, observe func() []LinkState) {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	soon := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.kicked:
			if !soon {
				soon = true
				timer.Reset(lookSoon)
			}
		case now := <-timer.C:
			t.update(observe(), now)
			soon = false
			timer.Reset(lookEvery)
		}
	}
}

// note takes a line of a server's log. It is a reason to look at the links,
// and may be the reason why one of them is down.
func (t *tracker) note(line string) {
	select {
	case t.kicked <- struct{}{}:
	default: // a look is due already
	}
	if !strings.Contains(strings.ToLower(line), "error") && !strings.Contains(line, "Violation") {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.recent) == keep {
		t.recent = slices.Delete(t.recent, 0, 1)
	}
	t.recent = append(t.recent, line)
	for i := range t.state {
		if l := &t.state[i]; !l.Up && l.blamed(line) {
			l.Err = line
		}
	}
}

// blame looks for the reason why l is down among the recent lines.
func (t *tracker) blame(l *LinkState) {
	for _, line := range t.recent {
		if l.blamed(line) {
			l.Err = line
		}
	}
}

// blamed reports whether a line that tells of trouble is about the link.
func (l LinkState) blamed(line string) bool {
	if strings.Contains(line, l.Addr) || strings.Contains(line, `"`+linkName(l.Peer)+`"`) {
		return true
	}
	return l.Kind == KindLeafOut && strings.Contains(strings.ToLower(line), "leafnode")
}

// update compares what was seen with what was known and tells the difference.
func (t *tracker) update(seen []LinkState, now time.Time) {
	var changed []LinkState
	t.mu.Lock()
	for i := range seen {
		was, known := find(t.state, seen[i].id())
		switch {
		case !known || was.Up != seen[i].Up:
			seen[i].Since = now
			if !seen[i].Up {
				t.blame(&seen[i])
			}
			if known || seen[i].Up {
				changed = append(changed, seen[i])
			}
		default:
			seen[i].Since, seen[i].Err = was.Since, was.Err
		}
	}
	for _, was := range t.state {
		if _, still := find(seen, was.id()); !still && was.Up {
			was.Up, was.Since, was.RTT = false, now, 0
			changed = append(changed, was)
		}
	}
	t.state = seen
	t.mu.Unlock()
	for _, l := range changed {
		if l.Up {
			t.log.Info("link up", "peer", l.Peer, "reason", l.Kind, "addr", l.Addr)
		} else {
			t.log.Warn("link lost", "peer", l.Peer, "reason", l.Kind, "addr", l.Addr)
		}
		t.tell(l)
	}
}

func find(links []LinkState, id string) (LinkState, bool) {
	i := slices.IndexFunc(links, func(l LinkState) bool { return l.id() == id })
	if i < 0 {
		return LinkState{}, false
	}
	return links[i], true
}

func (t *tracker) list() []LinkState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.state)
}
