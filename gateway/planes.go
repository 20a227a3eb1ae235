package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/plane"
	"github.com/ringway/ringway/internal/run"
	"github.com/ringway/ringway/topology"
)

// openPlanes makes the registry of the stamp's planes. Every replica has one.
func (g *Gateway) openPlanes(c *conns) (*plane.Registry, error) {
	o := g.opts.Planes
	r, err := plane.New(plane.Config{
		Me: g.opts.Stamp, Relay: c.relay, Fed: c.fed, View: func() *topology.View { return g.force.Load().view },
		Upstream: g.upstream, Clients: func() []plane.Client { return append(g.clients(), c.external.clients()...) }, Namespace: o.Namespace,
		Refresh: o.Refresh, Lease: o.Lease, Grace: o.Grace, Behalf: o.Behalf, Announce: o.Announce,
		Replicas: g.replicas(), Log: g.log.With("component", "planes"), Metrics: g.reg,
	})
	if err != nil {
		return nil, err
	}
	g.planes.Store(r)
	return r, nil
}

// clients returns those of this replica.
func (g *Gateway) clients() []plane.Client {
	all := g.node.Clients()
	out := make([]plane.Client, 0, len(all))
	for _, c := range all {
		is := plane.Client{Addr: c.Addr, Name: c.Name}
		for _, s := range c.Subs {
			is.Subs = append(is.Subs, plane.Sub(s))
		}
		out = append(out, is)
	}
	return out
}

// pushPlanes adds to s what keeps the registry, and if this process speaks for
// the stamp anyway what does that.
func (g *Gateway) pushPlanes(s *run.Stack, r *plane.Registry, alone bool) {
	s.Push("planes", &keeper{name: "planes", run: r.Run, board: g.board, log: g.log})
	if alone {
		s.Push("planes told", &keeper{name: "planes told", run: r.Act, board: g.board, log: g.log})
	}
}

// planeHandler answers the calls of Keptn's uniform API and log that are about
// the planes of this stamp.
func (g *Gateway) planeHandler() call.Handler { return planeHandler{g} }

type planeHandler struct{ g *Gateway }

// ServeCall leaves the call to others as long as the registry is not there.
func (h planeHandler) ServeCall(w http.ResponseWriter, r *http.Request, c call.Call) bool {
	reg := h.g.planes.Load()
	return reg != nil && reg.ServeCall(w, r, c)
}

// planesReady is inbox.Config.Ready.
func (g *Gateway) planesReady(subject string) (bool, string) {
	if r := g.planes.Load(); r != nil {
		return r.Ready(subject)
	}
	return true, ""
}

// planeList is what the admin face shows at /planes.
func (g *Gateway) planeList(context.Context) (any, error) {
	if r := g.planes.Load(); r != nil {
		return r.Planes(), nil
	}
	return []plane.Copy{}, nil
}

// PlaneStatus counts the planes of the stamp by their state.
type PlaneStatus struct {
	Fresh int `json:"fresh"` // every control plane knows them as they are
	Stale int `json:"stale"` // a control plane could not confirm them
	Gone  int `json:"gone"`  // they say nothing any more

	// Why a plane is stale, and since when: the one that is for the longest time.
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// causes returns what is wrong with the planes.
func (p PlaneStatus) causes() []string {
	if p.Stale == 0 || p.Reason == "" {
		return nil
	}
	return []string{fmt.Sprintf("%d planes are not confirmed since %s: %s", p.Stale, p.Since.UTC().Format(time.RFC3339), p.Reason)}
}

func (g *Gateway) planeStatus() PlaneStatus {
	r := g.planes.Load()
	if r == nil {
		return PlaneStatus{}
	}
	n := r.Counts()
	out := PlaneStatus{Fresh: n[plane.Fresh], Stale: n[plane.Stale], Gone: n[plane.Gone]}
	if out.Stale > 0 {
		out.Since, out.Reason = r.Stalest()
	}
	return out
}
