// Package gateway is the process of one stamp: the place where the topology,
// the identity, the NATS servers and the bridge meet.
//
// A Gateway is made from Options, which are plain data (gateway.yaml, flags
// and RINGWAY_* variables), and runs until its context ends. What it opens it
// closes, top-down; everything that can fail at once fails in New.
package gateway
