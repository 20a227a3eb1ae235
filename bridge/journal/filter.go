package journal

import (
	"slices"
	"strings"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A Filter says which steps are wanted. What is empty lets everything through.
type Filter struct {
	Steps    []bridge.Step `json:"steps,omitempty"`
	Types    []string      `json:"types,omitempty"` // whole, or how they end: deployment.triggered
	Stages   []string      `json:"stages,omitempty"`
	Projects []string      `json:"projects,omitempty"`
	Contexts []string      `json:"contexts,omitempty"`
	// Stamps are those whose gateways are asked. A journal does not look at it.
	Stamps []topology.StampID `json:"stamps,omitempty"`
}

func (f *Filter) lets(c *chunk, r *row) bool {
	return (len(f.Steps) == 0 || slices.Contains(f.Steps, steps[r.step])) &&
		in(f.Stages, c.nameOf(r, nameStage)) && in(f.Projects, c.nameOf(r, nameProject)) &&
		in(f.Contexts, c.nameOf(r, nameContext)) && f.letsType(c.nameOf(r, nameType))
}

func (f *Filter) letsType(typ []byte) bool {
	for _, t := range f.Types {
		if string(typ) == t || strings.HasSuffix(string(typ), "."+t) {
			return true
		}
	}
	return len(f.Types) == 0
}

func in(all []string, name []byte) bool {
	for _, a := range all {
		if a == string(name) {
			return true
		}
	}
	return len(all) == 0
}
