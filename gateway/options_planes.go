package gateway

import (
	"strings"
	"time"
)

// Planes tunes the registration of the stamp's execution planes.
type Planes struct {
	// Namespace is what control planes are told for the namespace of a plane:
	// {{stamp}}, {{namespace}} and {{plane}} stand for the stamp, the namespace
	// that the plane gives, and its caller. It tells planes of the same name in
	// several stamps apart.
	Namespace string `yaml:"namespace"`
	// Refresh is how often a control plane is told that a plane lives: at most
	// half of its UNIFORM_INTEGRATION_TTL.
	Refresh time.Duration `yaml:"refresh"`
	// Lease is for how long a plane that says nothing counts as alive.
	Lease time.Duration `yaml:"lease"`
	// Grace is after what time a plane that does not register itself is
	// deregistered when it is gone.
	Grace time.Duration `yaml:"grace"`
	// Behalf is for how long a plane that does not register is seen before it is
	// registered on its behalf.
	Behalf time.Duration `yaml:"behalf"`
	// Announce is how often other stamps are told of the planes, besides when
	// something changes.
	Announce time.Duration `yaml:"announce"`
}

func defaultPlanes() Planes {
	return Planes{
		Namespace: "keptn-exec.{{stamp}}", Refresh: 30 * time.Second, Lease: time.Minute, Grace: 10 * time.Minute,
		Behalf: 15 * time.Second, Announce: 30 * time.Second,
	}
}

func (p Planes) check(bad func(key, format string, args ...any)) {
	if p.Refresh <= 0 || p.Lease <= 0 || p.Grace <= 0 || p.Behalf <= 0 || p.Announce <= 0 {
		bad("planes", "durations must be positive")
	}
	if !strings.Contains(p.Namespace, "{{stamp}}") {
		bad("planes.namespace", "%q does not contain {{stamp}}: planes of the same name in two stamps would be one", p.Namespace)
	}
}
