package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/topology"
)

const (
	// lookTargets is how often the topology in force is compared with what is
	// served.
	lookTargets = time.Second
	// rereadTargets is how often the files of targets are read again.
	rereadTargets = 5 * time.Second
)

// followTargets serves the targets of the topology in force.
func (g *Gateway) followTargets(ctx context.Context, ready func(), t *tunnels) error {
	const name = "targets"
	var served *topology.View
	var read time.Time
	said := ""
	follow := func() {
		v := g.force.Load().view
		if v == served && time.Since(read) < rereadTargets {
			return
		}
		served, read = v, time.Now()
		err := errors.Join(t.serve(g.targets(v)), g.unknownTargets(v))
		is := "ok"
		if err != nil {
			is = err.Error()
		}
		if is != said && err != nil {
			g.log.Error("targets not all served", "component", name, "err", err)
		}
		said = is
		g.board.set(name, is)
	}
	follow()
	ready()
	tick := time.NewTicker(lookTargets)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			follow()
		}
	}
}

// targets returns what the stamp of v serves to others: the targets that the
// topology names, and the APIs of its control planes.
func (g *Gateway) targets(v *topology.View) []tunnel.Target {
	var out []tunnel.Target
	for _, t := range v.Targets {
		if t.Stamp == v.Me.ID {
			out = append(out, g.withFiles(tunnel.Target{
				Name: t.Name, Upstream: t.URL, Rules: rulesOf(t),
				MaxRequest: t.MaxRequest, Timeout: t.Timeout, KeepHost: t.KeepHost, NoUpgrade: !t.Upgrade,
			}))
		}
	}
	for _, c := range v.ControlPlanes {
		if c.Stamp != v.Me.ID {
			continue
		}
		keptn := tunnel.Target{MaxRequest: g.opts.Rest.MaxRequest, Timeout: tunnel.KeptnTimeout, NoUpgrade: true}
		if c.API != nil {
			t := keptn
			t.Name, t.Upstream, t.Rules = c.PublicTarget(), c.API, tunnel.KeptnRules()
			out = append(out, g.withAccess(c.Name, g.withFiles(t)))
		}
		for _, service := range slices.Sorted(maps.Keys(c.Services)) {
			t := keptn
			t.Name, t.Upstream, t.Rules = c.ServiceTarget(service), c.Services[service], tunnel.KeptnServiceRules(service)
			out = append(out, g.withAccess(c.Name, g.withFiles(t)))
		}
	}
	return out
}

// withFiles adds what gateway.yaml says of a target.
func (g *Gateway) withFiles(t tunnel.Target) tunnel.Target {
	f := g.opts.Targets[t.Name]
	t.CA, t.Cert, t.Key, t.ServerName = f.CA, f.Cert, f.Key, f.ServerName
	t.Credentials, t.CredentialPrefix = f.Credentials, f.CredentialPrefix
	return t
}

// withAccess adds what gateway.yaml says of a control plane to a target that is
// its API, where the target has nothing of its own: whoever polls it would
// otherwise have to write the same token down twice.
func (g *Gateway) withAccess(control string, t tunnel.Target) tunnel.Target {
	a, ok := g.opts.ControlPlanes[control]
	if !ok {
		return t
	}
	t.CA = cmp.Or(t.CA, a.CA)
	if t.Cert == "" && t.Key == "" {
		t.Cert, t.Key = a.Cert, a.Key
	}
	if len(t.Credentials) == 0 && a.TokenFile != "" {
		t.Credentials = map[string]string{"x-token": a.TokenFile}
	}
	return t
}

// unknownTargets reports files of targets and control planes that the stamp does
// not have: most likely they are misspelt, and one is served without them.
func (g *Gateway) unknownTargets(v *topology.View) error {
	var bad []error
	for _, name := range slices.Sorted(maps.Keys(g.opts.Targets)) {
		if t := v.Target(v.Me.ID, name); t == nil && impliedBy(v, v.Me.ID, name) == nil {
			bad = append(bad, errors.New("gateway.yaml has files of target "+name+", which the topology does not know in this stamp"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.opts.ControlPlanes)) {
		if !slices.ContainsFunc(v.ControlPlanes, func(c *topology.ControlPlane) bool { return c.Name == name && c.Stamp == v.Me.ID }) {
			bad = append(bad, errors.New("gateway.yaml has files of control plane "+name+", which the topology does not know in this stamp"))
		}
	}
	return errors.Join(bad...)
}

// impliedBy returns the control plane in stamp id whose API a target is, or nil.
func impliedBy(v *topology.View, id topology.StampID, target string) *topology.ControlPlane {
	for _, c := range v.ControlPlanes {
		if c.Stamp != id {
			continue
		}
		if c.API != nil && target == c.PublicTarget() {
			return c
		}
		for service := range c.Services {
			if target == c.ServiceTarget(service) {
				return c
			}
		}
	}
	return nil
}

// rulesOf says what others may ask of a target. A prefix covers itself and what is
// below it.
func rulesOf(t *topology.Target) tunnel.Rules {
	below := func(prefixes []string) []string {
		var out []string
		for _, p := range prefixes {
			out = append(out, strings.TrimRight(p, "/")+"/**")
		}
		return out
	}
	var out tunnel.Rules
	if len(t.Deny) > 0 {
		out = append(out, tunnel.Rule{Deny: true, Paths: below(t.Deny)})
	}
	allow := tunnel.Rule{Methods: t.Methods, Paths: below(t.Paths)}
	for id := range t.Callers {
		allow.Stamps = append(allow.Stamps, id)
	}
	slices.Sort(allow.Stamps)
	if t.Callers != nil && len(allow.Stamps) == 0 {
		return tunnel.Rules{{Deny: true}}
	}
	return append(out, allow)
}
