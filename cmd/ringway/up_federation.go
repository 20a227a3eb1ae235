package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/internal/federation"
	"github.com/ringway/ringway/topology"
)

// upBoard lets a federation use the demonstration's relays.
type upBoard struct{ *demo.Switchboard }

func (b upBoard) Addr(from, to, facet string) (string, error) {
	return b.Switchboard.Addr(demo.Cable{From: from, To: to, Facet: facet})
}

func (b upBoard) Forward(to, facet, target string) error {
	b.Switchboard.Forward(to, facet, target)
	return nil
}

// linksWait bounds how long `up` waits for the links of a federation.
const linksWait = time.Minute

// startFederation starts every stamp of cfg.mesh in this process.
func startFederation(ctx context.Context, cfg federationConfig) (demo.Federation, error) {
	f, err := federation.New(federation.Config{
		Topology: cfg.spec, Dir: cfg.dir, Board: upBoard{cfg.board}, Log: cfg.log, Now: time.Now, OneMachine: true,
		Options: func(o *gateway.Options) { o.Rest.Anonymous = true }, // the URLs that are printed are for anybody here
	})
	if err != nil {
		return nil, err
	}
	for _, note := range f.Notes {
		cfg.note(note)
	}
	u := &upFederation{f: f, board: cfg.board}
	if err := f.Start(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := u.waitForLinks(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return u, nil
}

// upFederation shows a federation to the demonstration.
type upFederation struct {
	f     *federation.Federation
	board *demo.Switchboard
}

func (u *upFederation) waitForLinks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, linksWait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		down := ""
		for _, l := range u.Links() {
			if !l.Up {
				down = fmt.Sprintf("%s link from %s to %s", l.Kind, l.From, l.To)
			}
		}
		if down == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for links: %s is not up: %w", down, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Stamps returns every stamp, in the order of the topology.
func (u *upFederation) Stamps() []demo.StampInfo {
	var out []demo.StampInfo
	for _, s := range u.f.Stamps() {
		info := demo.StampInfo{
			Name: string(s.ID), Geo: string(s.Geo), Ring: string(s.Ring), Link: linkName(s.Stamp),
			URL: s.URL(), REST: s.RESTURL(), Control: s.Control, Execution: s.Execution,
		}
		if g := s.Gateway(); g != nil {
			info.Admin = g.AdminURL()
			status := g.Status()
			for _, t := range status.Targets {
				info.Waiting += int(t.Held)
			}
			for _, w := range status.Waiting {
				info.Waiting += w.Count
			}
		}
		out = append(out, info)
	}
	return out
}

func linkName(s *topology.Stamp) string {
	if s.Link.Kind == topology.LinkHub {
		return "hub"
	}
	return "leaf " + string(s.Link.Transport)
}

// Links returns the state of every link between stamps now.
func (u *upFederation) Links() []demo.LinkInfo {
	var out []demo.LinkInfo
	for _, s := range u.f.Stamps() {
		g := s.Gateway()
		if g == nil {
			continue
		}
		for _, l := range g.Status().Links {
			info := demo.LinkInfo{From: string(s.ID), To: l.Peer, Kind: l.Kind, Up: l.Up}
			info.RTT, _ = time.ParseDuration(l.RTT) // empty where it is not known
			switch {
			case l.Kind == "leaf-out":
				info.Kind = linkName(s.Stamp)
			case l.Kind == "own" && l.Up, l.Kind == "leaf-in":
				continue // seen from the other side, or not between stamps
			}
			out = append(out, info)
		}
	}
	return out
}

// Route returns the stamps that must get an event which a client of stamp from
// publishes, by the very router that the gateway uses.
func (u *upFederation) Route(from string, event []byte) (to []string, anyOne bool) {
	s := u.f.Stamp(topology.StampID(from))
	if s == nil {
		return nil, false
	}
	return routeOf(s.Gateway(), event)
}

func routeOf(g *gateway.Gateway, event []byte) (to []string, anyOne bool) {
	subject, err := bridge.TypeOf(event)
	if g == nil || err != nil {
		return nil, false
	}
	e, err := bridge.Parse(subject, event)
	if err != nil {
		return nil, false
	}
	d := g.Router().Route(e)
	for _, t := range append(d.Targets, d.Candidates...) {
		to = append(to, string(t.Stamp))
	}
	return to, len(d.Candidates) > 0
}

// Cut cuts every link of a stamp until Heal.
func (u *upFederation) Cut(stamp string) error { return u.check(stamp, u.board.Cut) }

// Heal undoes Cut.
func (u *upFederation) Heal(stamp string) error { return u.check(stamp, u.board.Heal) }

func (u *upFederation) check(stamp string, do func(string)) error {
	if u.f.Stamp(topology.StampID(stamp)) == nil {
		return fmt.Errorf("there is no stamp %q", stamp)
	}
	do(stamp)
	return nil
}

// Stop ends the federation and returns when nothing of it is left.
func (u *upFederation) Stop(context.Context) error { return u.f.Close() }
