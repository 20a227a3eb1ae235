package topology_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// TestEverythingWrongIsReportedAtOnce: what cannot be read does not hide what
// is wrong with the rest, and nothing is reported that only follows from it.
func TestEverythingWrongIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edits []string
		want  string
	}{
		"unknown key and dangling names": {
			[]string{"{name: eu-dev, geo: eu, ring: dev}", "{name: eu-dev, geo: mars, ring: dev, labls: {a: b}}", "{name: prod, ring: prod}", "{name: prod, ring: qa}"},
			`x:12:25: stamps[1].geo: there is no geo "mars" (name one that is declared)
x:12:42: stamps[1].labls: is not a known key (did you mean labels?)
x:19:24: stages[1].ring: there is no ring "qa" (name one that is declared)`,
		},
		"misspelt ring": {
			[]string{"ring: dev}\n  - {name: eu-prod", "rign: dev}\n  - {name: eu-prod", "stamp: hub}", "stamp: hob}"},
			`x:12:29: stamps[1].rign: is not a known key (did you mean ring?)
x:16:26: controlPlanes[0].stamp: there is no stamp "hob" (name one that is declared)`,
		},
		"geos are no list": {
			[]string{"geos: [eu, us]", "geos: eu", "{name: prod, ring: prod}", "{name: prod, ring: prod, deliver: most}"},
			`x:4:7: geos: is "eu", not a list (write a list: [a, b])
x:19:39: stages[1].deliver: "most" is not known (write one of [all any first])`,
		},
		"a stamp without a name": {
			[]string{"name: eu-dev", "nam: eu-dev", "stamp: hub}", "stamp: hub, api: {url: keptn}}"},
			`x:12:6: stamps[1].nam: is not a known key (did you mean name?)
x:16:42: controlPlanes[0].api.url: "keptn" is not a URL with one of the schemes [http https] (write http://host:port)`,
		},
		"misspelt list": {
			[]string{"controlPlanes:", "controlPlane:"},
			`x:15:1: controlPlane: is not a known key (did you mean controlPlanes?)`,
		},
		"the hub's link": {
			[]string{"kind: hub, advertise", "kin: hub, advertise", "name: test", "name: my test"},
			`x:3:7: name: "my test" is not a NATS token (use letters, digits, - and _, at most 63)
x:11:12: stamps[0].link.kin: is not a known key (did you mean kind?)`,
		},
		"elsewhere": {
			[]string{"stages:", "policies: [{name: p, effect: deny, projects: [s], why: x}, {name: q, effect: allow, projects: [s]}]\nstages:", "stamp: hub}", "stamp: eu-dev}"},
			`x:16:26: controlPlanes[0].stamp: stamp "eu-dev" has no role control (add control to the roles of the stamp)
x:17:51: policies[0].why: is not a known key
x:17:60: policies[1]: changes nothing: deny policy "p" takes everything it takes (drop it, or make policy p narrower)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := topology.Load("x", []byte(edit(t, base, tc.edits...)))
			require.EqualError(t, err, tc.want)
		})
	}
}
