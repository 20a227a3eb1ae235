package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	// discoverEvery is how often it is looked whether replicas are missing, and
	// their name is resolved if they are.
	discoverEvery = time.Second
	// maxFound bounds the addresses that are dialled, for each replica: pods come
	// back at others.
	maxFound = 4
)

// discover makes the servers dial every address that the name of the replicas
// has, as long as some of these are not connected. The server itself dials one of
// them, at random, and hears of the others from that one; where two hear of each
// other at the same time both connections may end as the second of two, and
// neither server tries again (nats-server 2.15, reConnectToRoute). To an address
// that it was given it does.
func (n *Node) discover(ctx context.Context) {
	p := n.current()
	name := p.cfg.Replica.PeersDNS
	if !p.replicated() || name == "" {
		return
	}
	tick := time.NewTicker(discoverEvery)
	defer tick.Stop()
	for missing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		was := missing
		if missing = n.lacksReplicas(); !was || !missing {
			continue // they may be on their way
		}
		found, err := net.DefaultResolver.LookupHost(ctx, name)
		if err == nil {
			err = n.dialFound(found)
		}
		if err != nil && ctx.Err() == nil {
			n.cfg.Log.Warn("replicas not found", "addr", name, "err", err)
		}
	}
}

// lacksReplicas reports whether one of the servers has no route to some replica.
func (n *Node) lacksReplicas() bool {
	n.mu.RLock()
	p, local, link := n.plan, n.local, n.link
	n.mu.RUnlock()
	short := func(e *engine) bool { return e != nil && e.NumRoutes() < p.view.Me.Replicas-1 }
	return short(local) || short(link)
}

// dialFound has the servers dial the addresses that they do not know yet.
func (n *Node) dialFound(addrs []string) error {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	n.mu.RLock()
	p, local, link := n.plan, n.local, n.link
	n.mu.RUnlock()
	next := *p
	next.found = slices.Clone(p.found)
	for _, a := range addrs {
		if !slices.Contains(next.found, a) {
			next.found = append(next.found, a)
		}
	}
	if local == nil || len(next.found) == len(p.found) {
		return nil
	}
	if most := maxFound * p.view.Me.Replicas; len(next.found) > most {
		next.found = next.found[len(next.found)-most:]
	}
	o, err := next.local()
	if err == nil {
		o.AccountResolver = local.AccountResolver()
		err = local.ReloadOptions(o)
	}
	if link != nil && err == nil {
		if o, err = next.link(); err == nil {
			o.Port = portOf(link.Addr())
			o.AccountResolver = link.AccountResolver()
			err = link.ReloadOptions(o)
		}
	}
	if err != nil {
		return fmt.Errorf("dial replicas: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plan = &next
	return nil
}
