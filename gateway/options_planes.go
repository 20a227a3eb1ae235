package gateway

import (
	"strings"
	"time"
)

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
