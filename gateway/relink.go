package gateway

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// NATS does not change the gateways of a running server, so such a change
// takes a restart of the link server. Each hub waits for its turn, so that not
// all are without links in the same instant.
const (
	linkTurn  = 2 * time.Second  // between two hubs in order of the topology
	linkTurns = 30 * time.Second // for all of them

	firstRelink = time.Second // pause after a restart that failed
	lastRelink  = 30 * time.Second
)

// A relinkState says how a restart of the link server is going.
type relinkState struct {
	due time.Time // zero: none is due
	err string    // why the last attempt failed
}

// replicaTurns is how many parts the turn of a hub has for its replicas.
const replicaTurns = 5

// turn returns how long this process waits for those before it: other hubs,
// and other replicas of its own, told apart by the number at the end of their
// names if they have one.
func turn(v *topology.View, replica string) time.Duration {
	hubs := v.Hubs()
	i := slices.IndexFunc(hubs, func(s *topology.Stamp) bool { return s.ID == v.Me.ID })
	if i < 0 {
		return 0
	}
	one := min(linkTurn, linkTurns/time.Duration(len(hubs)))
	return one*time.Duration(i) + one*time.Duration(ordinal(replica)%replicaTurns)/replicaTurns
}

// ordinal returns the number at the end of a name such as ringway-2, else one
// that follows from the name; 0 if it is empty.
func ordinal(name string) uint32 {
	n, err := strconv.ParseUint(name[strings.LastIndexByte(name, '-')+1:], 10, 31)
	if err == nil || name == "" {
		return uint32(n)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return h.Sum32()
}

// relink restarts the link server whenever a reload asks for it, until that
// works. The local server and its clients do not notice; what is on its way
// meanwhile is sent again.
func (g *Gateway) relink(ctx context.Context, ready func()) error {
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.relinkDue:
		}
		wait := turn(g.force.Load().view, g.opts.Replica.Name)
		for pause := firstRelink; g.waitForTurn(ctx, wait); pause = min(2*pause, lastRelink) {
			if g.restartLink(ctx, pause) {
				break
			}
			wait = pause
		}
	}
}

// waitForTurn returns whether the link server is to be restarted now.
func (g *Gateway) waitForTurn(ctx context.Context, wait time.Duration) bool {
	g.changing.Lock()
	g.amend(func(f *inForce) { f.relink.due = time.Now().Add(wait) })
	g.changing.Unlock()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// restartLink restarts the link server if that is still due, and notes how it
// went. It reports whether nothing is left to do.
func (g *Gateway) restartLink(ctx context.Context, pause time.Duration) bool {
	g.changing.Lock()
	defer g.changing.Unlock()
	var err error
	if g.node.LinkStale() {
		start := time.Now()
		if err = g.node.RestartLink(ctx, g.force.Load().view); err == nil {
			g.metrics.reloads.WithLabelValues("applied").Inc()
			g.log.Info("link server restarted", "after", time.Since(start))
		}
	}
	if err != nil && ctx.Err() == nil {
		g.log.Error("link server not restarted, will try again", "after", pause, "err", err)
		g.amend(func(f *inForce) { f.relink.err = err.Error() })
		return false
	}
	g.amend(func(f *inForce) { f.relinks, f.relink = nil, relinkState{} })
	return true
}
