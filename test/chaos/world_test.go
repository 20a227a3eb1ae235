package chaos_test

import (
	"strings"
)

// The stamps. Two control planes, one more hub, four leaves.
var (
	controls   = []string{"alpha", "beta"}
	executions = []string{"gamma", "d1", "d2", "p1", "p2"}
	stamps     = append(append([]string{}, controls...), executions...)
)

// spare is a hub without planes of its own. Leaf p1 goes there while gamma is
// away; it comes and goes.
const spare = "spare"

// tripled is the stamp with three replicas.
const tripled = "d1"

// projects of the control plane in each stamp.
var projects = map[string][]string{"alpha": {"carts", "orders"}, "beta": {"catalogue"}}

// stages that tasks are triggered in.
var stages = []string{"dev", "soft", "prod", "near", "best", "lone", "labelled", "moved"}

// oneOf are the stages of which any one stamp takes a task; missed those with a
// deadline, after which a stamp is answered for.
var (
	oneOf  = []string{"near", "best"}
	missed = []string{"dev", "soft"}
	shared = []string{"dev", "soft", "prod"} // several stamps are asked at once
)

// A shape is a state of the topology; the zero shape is the one it starts in.
type shape struct {
	moved    bool // stage moved is run by d2 instead of d1
	labelled bool // stamp d2 has the label of stage labelled, instead of d1
	denied   bool // a policy keeps test.triggered from p1
	noLeaf   bool // stamp p2 is not in the federation
	route    bool // one more custom route
	noHub    bool // hub spare is not in the federation
}

const federation = `
apiVersion: ringway/v1
kind: Topology
name: chaos
geos: [eu, us]
rings: [dev, prod, none]
stamps:
  - {name: alpha, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "alpha.example:7222", leafnode: "alpha.example:7422", websocket: "alpha.example:443"}}}
  - {name: beta, geo: us, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "beta.example:7222", leafnode: "beta.example:7422", websocket: "beta.example:443"}}}
  - {name: gamma, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: "gamma.example:7222", leafnode: "gamma.example:7422", websocket: "gamma.example:443"}}}
  - {name: d1, geo: eu, ring: dev, replicas: 3, labels: {D1}, link: {via: [alpha]}}
  - {name: d2, geo: us, ring: dev, labels: {D2}, link: {via: [beta], transport: wss}}
#hub  - {name: spare, geo: us, ring: none, trusted: true, link: {kind: hub, advertise: {gateway: "spare.example:7222", leafnode: "spare.example:7422", websocket: "spare.example:443"}}}
#hub  - {name: p1, geo: us, ring: prod, link: {via: [gamma, spare]}}
#nohub  - {name: p1, geo: us, ring: prod, link: {via: [gamma]}}
#p2  - {name: p2, geo: eu, ring: prod, link: {via: [alpha], transport: wss}}
controlPlanes:
  - {name: one, stamp: alpha, projects: [carts, orders]}
  - {name: two, stamp: beta, projects: [catalogue]}
stages:
  - {name: dev, ring: dev, deadline: 4s}
  - {name: soft, ring: dev, deadline: 3s, onDeadline: ignore}
  - {name: prod, ring: prod}
  - {name: near, ring: prod, deliver: any, startWithin: 2s}
  - {name: best, ring: prod, deliver: first, order: [p1, gamma], startWithin: 2s}
  - {name: lone, ring: prod, stamps: [p1]}
  - {name: labelled, ring: dev, labels: {chosen: "yes"}}
  - {name: moved, ring: dev, stamps: [MOVED]}
routes:
  - {name: goods, subject: goods.>, from: {stamps: [d1]}, to: {stamps: [p1]}}
#route  - {name: audit, subject: audit.>, from: {stamps: [d2]}, to: {stamps: [gamma]}}
#denied
policies:
#denied  - {name: no-tests, effect: deny, from: {stamps: [alpha]}, to: {stamps: [p1]}, types: [sh.keptn.event.test.triggered]}
  - {name: never, effect: deny, from: {stamps: [p1]}, to: {stamps: [d1]}}
`

// yaml returns the topology file of a shape.
func (s shape) yaml() string {
	on := map[bool]string{true: `chosen: "yes"`, false: `chosen: "no"`}
	at := map[bool]string{false: "d1", true: "d2"}
	lines := map[string]bool{"#p2": !s.noLeaf, "#route": s.route, "#denied": s.denied, "#hub": !s.noHub, "#nohub": s.noHub}
	text := strings.NewReplacer("D1", on[!s.labelled], "D2", on[s.labelled], "MOVED", at[s.moved]).Replace(federation)
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if mark, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(line, "#") {
			if !lines[mark] {
				continue
			}
			line = strings.TrimPrefix(line, mark)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
