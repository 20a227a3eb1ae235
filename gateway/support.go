package gateway

import (
	"bytes"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/ringway/ringway/internal/redact"
	"github.com/ringway/ringway/topology"
)

// A Support is what helps somebody elsewhere to find out what is wrong with a
// gateway, without what they must not see. It is what /support shows.
type Support struct {
	APIVersion string           `json:"apiVersion"` // ringway/v1
	Kind       string           `json:"kind"`       // Support
	Stamp      topology.StampID `json:"stamp"`
	At         time.Time        `json:"at"`
	Version    string           `json:"version"`
	Go         string           `json:"go"`
	Platform   string           `json:"platform"`
	CPUs       int              `json:"cpus"`
	Options    string           `json:"options"`    // in force, JSON
	Topology   string           `json:"topology"`   // in force, YAML
	Goroutines string           `json:"goroutines"` // what each does now
}

// Support returns what helps to find out what is wrong. Secrets are taken out as
// far as they can be told: options name files and do not hold them, and a
// topology may have passwords in URLs.
func (g *Gateway) Support() Support {
	f := g.force.Load()
	s := Support{
		APIVersion: "ringway/v1", Kind: "Support", Stamp: f.view.Me.ID, At: time.Now().UTC(),
		Version: Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Topology: string(redact.Text(f.document)),
	}
	options, err := redact.JSON(g.opts)
	if err != nil {
		options = []byte(err.Error())
	}
	s.Options = string(options)
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		b.WriteString(err.Error())
	}
	s.Goroutines = b.String()
	return s
}
