package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// An Examination is what gateways found when they examined themselves. It is
// what /doctor shows.
type Examination struct {
	APIVersion string           `json:"apiVersion"` // ringway/v1
	Kind       string           `json:"kind"`       // Examination
	Asked      topology.StampID `json:"asked"`      // whose gateway says all this
	At         time.Time        `json:"at"`
	Answered   int              `json:"answered"` // stamps, the one asked included
	Findings   []Finding        `json:"findings"` // by stamp, in order of the categories
}

// A Level says how bad a Finding is.
type Level string

// The levels.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning" // it will be bad, or somebody has to look
	LevelFailure Level = "failure" // it is bad
)

// A Finding is one thing that was examined.
type Finding struct {
	Stamp    topology.StampID `json:"stamp"`
	Category string           `json:"category"`
	Check    string           `json:"check"` // what should be
	Level    Level            `json:"level"`
	Detail   string           `json:"detail,omitempty"` // what is
	Code     string           `json:"code,omitempty"`
	See      string           `json:"see,omitempty"` // where it is explained
}

// The categories, in the order in which they are shown.
const (
	catConfig   = "configuration"
	catIdentity = "certificates and identity"
	catDNS      = "dns"
	catPorts    = "ports"
	catLinks    = "links"
	catClock    = "clock"
	catDisk     = "disk"
	catVersions = "versions"
	catLimits   = "nats limits"
	catRights   = "permissions"
	catCanaries = "canaries"
	catPlanes   = "planes"
	catEvents   = "events"
)

const (
	// examineLimit is how long an examination may take.
	examineLimit = 5 * time.Second
	// examineFresh is for how long what was found is told again.
	examineFresh = 2 * time.Second
)

// A clinic remembers what was last found, so that many who ask cause one
// examination.
type clinic struct {
	mu    sync.Mutex
	at    time.Time
	found []Finding
}

// Examine examines this gateway, and on its word all others. It returns what was
// found when all have answered, or after some seconds; a stamp that has not
// answered by then is a finding itself.
func (g *Gateway) Examine(ctx context.Context, all bool) Examination {
	f := g.force.Load()
	me := f.view.Me.ID
	out := Examination{APIVersion: "ringway/v1", Kind: "Examination", Asked: me, At: time.Now().UTC(), Answered: 1}
	if !all {
		out.Findings = g.examine(ctx)
		return out
	}
	limit, cancel := context.WithTimeout(ctx, examineLimit+time.Second)
	defer cancel()
	var stamps []topology.StampID
	for _, s := range f.view.Stamps {
		if s.ID != me {
			stamps = append(stamps, s.ID)
		}
	}
	var own []Finding
	var is Federation
	var wg sync.WaitGroup
	wg.Go(func() { own = g.examine(limit) })
	wg.Go(func() { is = g.Federation(limit) })
	answers := g.asker(limit, bridge.ShowChecks, stamps)
	wg.Wait()
	out.Findings = own
	for _, a := range answers {
		var theirs Examination
		err := a.Err
		if err == nil {
			err = json.Unmarshal(a.Body, &theirs)
		}
		if err != nil {
			out.Findings = append(out.Findings, unheard(a.Stamp, err, is))
			continue
		}
		out.Answered++
		out.Findings = append(out.Findings, theirs.Findings...)
	}
	return out
}

// unheard is the finding of a stamp that did not say what it found.
func unheard(stamp topology.StampID, err error, is Federation) Finding {
	x := Finding{Stamp: stamp, Category: catLinks, Check: "the stamp says what it finds", Level: LevelFailure, Detail: err.Error(), Code: CodeMissing}
	for _, s := range is.Stamps {
		if s.Stamp != stamp {
			continue
		}
		switch {
		case s.Way == WayDown && len(s.Causes) > 0:
			x.Detail, x.Code = s.Causes[0].String(), s.Causes[0].Code
		case s.Way == WayUp:
			x.Level = LevelWarning
		case s.Way == WayUnknown:
			x.Level = LevelWarning
		}
	}
	x.See = See(x.Code)
	return x
}

// examine looks at everything that this gateway can see.
func (g *Gateway) examine(ctx context.Context) []Finding {
	g.clinic.mu.Lock()
	defer g.clinic.mu.Unlock()
	if time.Since(g.clinic.at) < examineFresh {
		return g.clinic.found
	}
	ctx, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	e := &exam{g: g, f: g.force.Load(), s: g.fullStatus(ctx), now: time.Now()}
	e.configuration()
	e.identity()
	e.reachable(ctx)
	e.names(ctx)
	e.links()
	e.clock()
	e.disk()
	e.versions()
	e.limits()
	e.rights(ctx)
	e.review(ctx)
	e.canaries()
	e.planes()
	e.events()
	g.clinic.at, g.clinic.found = time.Now(), e.found
	return e.found
}

// An exam is one examination.
type exam struct {
	g     *Gateway
	f     *inForce
	s     Status
	now   time.Time
	found []Finding
}

func (e *exam) ok(category, check string) { e.add(category, check, LevelOK, "", "") }

func (e *exam) warn(category, check, code, format string, a ...any) {
	e.add(category, check, LevelWarning, code, fmt.Sprintf(format, a...))
}

func (e *exam) fail(category, check, code, format string, a ...any) {
	e.add(category, check, LevelFailure, code, fmt.Sprintf(format, a...))
}

func (e *exam) add(category, check string, l Level, code, detail string) {
	e.found = append(e.found, Finding{
		Stamp: e.s.Stamp, Category: category, Check: check, Level: l, Detail: detail, Code: code, See: See(code),
	})
}

// note adds that all is well if nothing was found about a check since before.
func (e *exam) note(before int, category, check string) {
	if len(e.found) == before {
		e.ok(category, check)
	}
}
