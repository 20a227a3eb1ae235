package health

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A State is how well a part does. Later constants are worse.
type State int

// The states of a part.
const (
	OK       State = iota // does all it is for
	Degraded              // serves its own stamp; something is missing
	Down                  // cannot serve
)

// String returns ok, degraded or down.
func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Degraded:
		return "degraded"
	case Down:
		return "down"
	default:
		return fmt.Sprintf("State(%d)", int(s))
	}
}

// MarshalText writes a State as its String, also in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Report is what one part says about itself.
type Report struct {
	State  State     `json:"state"`
	Detail string    `json:"detail,omitempty"` // for people: what is missing; empty if nothing is
	Since  time.Time `json:"since,omitzero"`   // since when the state is so; zero if not known
}

// A Reporter says how it is. Report is called from any goroutine, at any time,
// and must not block.
type Reporter interface {
	Report() Report
}

// Func makes a Reporter of a function.
type Func func() Report

// Report calls f.
func (f Func) Report() Report { return f() }

// A Board holds the reporters of a process. The zero value is an empty board.
// It is safe for concurrent use.
type Board struct {
	mu    sync.RWMutex
	parts []part
}

type part struct {
	name string
	r    Reporter
}

// Set puts r on the board under name, in place of who was there before; a nil
// r takes the name off. Parts are reported in the order in which their names
// first came.
func (b *Board) Set(name string, r Reporter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.parts, func(p part) bool { return p.name == name })
	switch {
	case i < 0 && r != nil:
		b.parts = append(b.parts, part{name, r})
	case i >= 0 && r == nil:
		b.parts = slices.Delete(b.parts, i, i+1)
	case i >= 0:
		b.parts[i].r = r
	}
}

// A Named is the report of the part with a name.
type Named struct {
	Name string `json:"name"`
	Report
}

// A Summary is what all parts together say.
type Summary struct {
	State  State   `json:"state"`            // the worst of the parts
	Detail string  `json:"detail,omitempty"` // what the parts that are not OK say: "links: b is down; …"
	Parts  []Named `json:"parts"`            // never nil
}

// Ready says whether the process can serve its own stamp.
func (s Summary) Ready() bool { return s.State < Down }

// Summary asks every part.
func (b *Board) Summary() Summary {
	b.mu.RLock()
	parts := slices.Clone(b.parts)
	b.mu.RUnlock()
	s := Summary{Parts: make([]Named, 0, len(parts))}
	var details []string
	for _, p := range parts {
		r := p.r.Report()
		s.State = max(s.State, r.State)
		if r.State != OK {
			details = append(details, fmt.Sprintf("%s: %s", p.name, detail(r)))
		}
		s.Parts = append(s.Parts, Named{p.name, r})
	}
	s.Detail = strings.Join(details, "; ")
	return s
}

func detail(r Report) string {
	if r.Detail == "" {
		return r.State.String()
	}
	return r.Detail
}
