package bridge

import "github.com/ringway/ringway/topology"

// Permits reports whether the policies let an event of a project (may be
// empty) and type (or custom subject) go from one stamp to another, and names
// the policy that decided. Deny wins over allow. Where the topology has allow
// policies, only what one of them matches may go; where it has none,
// everything may.
func Permits(policies []*topology.Policy, from, to topology.StampID, project, typ string) (by string, ok bool) {
	allows, allowed := false, ""
	for _, p := range policies {
		if p.Effect == topology.EffectAllow {
			allows = true
		}
		if !applies(p, from, to, project, typ) {
			continue
		}
		if p.Effect == topology.EffectDeny {
			return "policy " + p.Name, false
		}
		if allowed == "" {
			allowed = "policy " + p.Name
		}
	}
	if allows && allowed == "" {
		return "default (no allow policy matches)", false
	}
	return allowed, true
}

func applies(p *topology.Policy, from, to topology.StampID, project, typ string) bool {
	if p.From != nil && !p.From[from] || p.To != nil && !p.To[to] {
		return false
	}
	if !contains(p.Projects, project) {
		return false
	}
	for _, t := range p.Types {
		if t.Match(topology.Subject(typ)) {
			return true
		}
	}
	return len(p.Types) == 0
}
