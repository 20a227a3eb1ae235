package demo

import _ "embed"

//go:embed federation.yaml
var federation string

// Topology returns the topology.yaml of the built-in federation. The caller
// owns it.
func Topology() []byte { return []byte(federation) }
