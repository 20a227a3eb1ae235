package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringway/ringway/topology"
)

// A Restart says what of a reload waits for a restart.
type Restart int

// What may have to restart. Later constants include the earlier.
const (
	RestartNone    Restart = iota // everything is in force
	RestartLink                   // the link server: see Node.RestartLink
	RestartProcess                // the process: the stamp became a hub or a leaf
)

// Reload puts another view and identity in force, as far as that can be done
// while the servers run: accounts, with revocations, the default user of
// clients, whom the local server dials and by which CA it knows them. It
// returns what waits for a restart. If it fails before anything was changed, all stays as it was; it
// refuses accounts that are not those in force or are older.
func (n *Node) Reload(view *topology.View, id Identity) (Restart, error) {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	n.mu.RLock()
	old, local, link, linkOf := n.plan, n.local, n.link, n.linkOf
	n.mu.RUnlock()
	if local == nil {
		return RestartNone, fmt.Errorf("reload: %w", ErrNotRunning)
	}
	next, err := old.with(view, id)
	if err != nil {
		return RestartNone, fmt.Errorf("reload: %w", err)
	}
	if next.hub() != old.hub() {
		return RestartProcess, nil
	}
	o, err := next.local()
	if err != nil {
		return RestartNone, fmt.Errorf("reload: %w", err)
	}

	// From here on things change.
	o.AccountResolver = local.AccountResolver()
	err = next.creds.push(local.Server, localAccounts()...)
	if link != nil {
		err = errors.Join(err, next.creds.push(link.Server, linkAccounts()...))
	}
	err = errors.Join(err, local.ReloadOptions(o))
	if err != nil {
		return RestartNone, fmt.Errorf("reload servers: %w", err)
	}
	n.mu.Lock()
	n.plan = next
	n.mu.Unlock()
	if next.hub() && next.linkKey() != linkOf {
		return RestartLink, nil
	}
	return RestartNone, nil
}

// LinkStale reports whether RestartLink is due: the link server is not made
// from what is in force, or does not run although it should.
func (n *Node) LinkStale() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.local != nil && n.plan.hub() && (n.link == nil || n.plan.linkKey() != n.linkOf)
}

// with returns a plan for another view and identity at the same addresses.
func (p *plan) with(view *topology.View, id Identity) (*plan, error) {
	if view.Me.ID != p.view.Me.ID {
		return nil, fmt.Errorf("view is of stamp %s, not %s", view.Me.ID, p.view.Me.ID)
	}
	next := *p
	next.view = view
	var err error
	if next.creds, err = decode(id); err != nil {
		return nil, err
	}
	if err := next.creds.succeeds(p.creds); err != nil {
		return nil, err
	}
	next.proxyUser, next.proxyPassword, err = readProxyCredentials(view.Me.Link.Proxy)
	if err != nil {
		return nil, err
	}
	if !next.dialsAs(p) {
		next.dials++
	}
	if next.hub() != p.hub() {
		return &next, nil
	}
	fresh, err := newLinkTLS(id, next.view.Me, p.cfg.Log)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(fresh.ca, p.tls.ca) {
		next.tls = fresh
	}
	return &next, next.try()
}

// RestartLink replaces the link server of a hub by one made from view, on the
// same ports. The local server and its clients stay; the links are away for
// about a second. If the new server does not come up there is none, and
// RestartLink may be called again.
func (n *Node) RestartLink(ctx context.Context, view *topology.View) error {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	n.mu.RLock()
	p, local, old := n.plan, n.local, n.link
	n.mu.RUnlock()
	switch {
	case local == nil:
		return fmt.Errorf("restart link server: %w", ErrNotRunning)
	case !p.hub() || view.Me.Link.Kind != topology.LinkHub:
		return fmt.Errorf("restart link server: stamp %s is not a hub", p.view.Me.ID)
	}
	next := *p
	next.view = view
	if err := next.try(); err != nil {
		return fmt.Errorf("restart link server: %w", err)
	}
	if old != nil {
		old.stop()
		n.mu.Lock()
		n.link = nil
		n.mu.Unlock()
		n.links.update(n.observe(), time.Now()) // links that were down for a moment were down
	}
	return n.startLink(ctx, &next)
}
