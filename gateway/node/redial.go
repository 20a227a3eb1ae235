package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A leaf's server is to dial its hubs again whenever the link is lost. There is
// a moment in which it does not (nats-server 2.15.2): the connection breaks when
// it sends its first line, before the loop that writes has begun, as where a hub
// is stopped or cut off while a leaf connects. The connection is closed in place
// and nobody dials again, ever. What the server says then is that it is closed,
// and nothing more.

// How long a server may say nothing of a connection that it has closed, or has
// made and not finished. It waits a second to dial again, and for the longest
// answers of a proxy, TLS and the hub in turn.
const (
	dialTime  = 10 * time.Second
	delayTime = 30 * time.Second // longer if it says that it waits
)

// A dialling is what a server last said of dialling. It is safe for concurrent
// use.
type dialling struct {
	mu    sync.Mutex // guards the following field
	until time.Time  // when it is to have said something else; zero if it dials
}

// note takes a line of the server's log.
func (d *dialling) note(line string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case strings.Contains(line, "Error trying to connect as leafnode"):
		d.until = time.Time{} // again and again, and it says so once
	case strings.Contains(line, "Delaying attempt to reconnect"):
		d.until = now.Add(delayTime + dialTime)
	case strings.Contains(line, "Leafnode connection created"), strings.Contains(line, "Leafnode connection closed"):
		if until := now.Add(dialTime); until.After(d.until) {
			d.until = until
		}
	}
}

// givenUp reports whether the server ought to have said something and did not.
func (d *dialling) givenUp(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.until.IsZero() && now.After(d.until)
}

func (d *dialling) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = time.Time{}
}

// watchDialling has the local server of a leaf dial its hubs anew if it has given
// up, until ctx ends.
func (n *Node) watchDialling(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p := n.current()
			if p.hub() || !n.dialling.givenUp(now) || p.seenHub(n.running()).Up {
				continue
			}
			n.dialling.forget()
			if err := n.redial(); err != nil {
				n.cfg.Log.Warn("hub not dialled anew", "err", err)
				continue
			}
			n.cfg.Log.Warn("server had given up to dial its hubs, and does so anew")
		}
	}
}

// redial replaces the remote of the hubs by another one to the same addresses.
func (n *Node) redial() error {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	n.mu.RLock()
	p, local := n.plan, n.local
	n.mu.RUnlock()
	if local == nil {
		return fmt.Errorf("dial hubs: %w", ErrNotRunning)
	}
	next := *p
	next.dials++
	o, err := next.local()
	if err != nil {
		return fmt.Errorf("dial hubs: %w", err)
	}
	o.AccountResolver = local.AccountResolver()
	if err := local.ReloadOptions(o); err != nil {
		return fmt.Errorf("dial hubs: %w", err)
	}
	n.mu.Lock()
	n.plan = &next
	n.mu.Unlock()
	return nil
}
