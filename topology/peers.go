package topology

import "slices"

// Peers returns the stamps that this one exchanges events or messages with, in
// order of the file: by the rules of the stages and the control planes they
// belong to, and by the routes, as far as policies leave anything of it.
func (v *View) Peers() []StampID {
	me := v.Me.ID
	peer := map[StampID]bool{}
	pair := func(a, b StampID) {
		switch {
		case a == b || !v.open(a, b) && !v.open(b, a):
		case a == me:
			peer[b] = true
		case b == me:
			peer[a] = true
		}
	}
	for _, r := range v.Stages {
		for _, owner := range v.ownersOf(r) {
			for _, s := range r.Stamps {
				if owner == me || s == me {
					pair(owner, s)
				}
			}
		}
	}
	for _, r := range v.Routes {
		for _, from := range r.From {
			for _, to := range r.To {
				if from != to && (from == me || to == me) && v.open(from, to) {
					pair(from, to)
				}
			}
		}
	}
	var out []StampID
	for _, s := range v.Stamps {
		if peer[s.ID] {
			out = append(out, s.ID)
		}
	}
	return out
}

// ownersOf returns the stamps of the control planes whose projects a rule may
// take.
func (m *Mesh) ownersOf(r *StageRule) []StampID {
	var out []StampID
	for _, p := range m.ControlPlanes {
		mine := func(project string) bool { return m.ControlOf(project) == p }
		if len(r.Projects) == 0 || slices.ContainsFunc(r.Projects, mine) {
			out = append(out, p.Stamp)
		}
	}
	return out
}

// open reports whether policies let anything at all go from one stamp to
// another.
func (m *Mesh) open(from, to StampID) bool {
	takes := func(p *Policy) bool { return (p.From == nil || p.From[from]) && (p.To == nil || p.To[to]) }
	allows, allowed := false, false
	for _, p := range m.Policies {
		switch {
		case p.Effect == EffectAllow:
			allows = true
			allowed = allowed || takes(p)
		case takes(p) && len(p.Projects) == 0 && len(p.Types) == 0:
			return false
		}
	}
	return allowed || !allows
}
