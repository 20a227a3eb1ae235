// Package plane knows the execution planes of a stamp: it serves Keptn's uniform
// API to them, registers them with the control planes whose stages reach the
// stamp, each apart from its namesakes in other stamps and with the filters of
// its stamp, and tells the other stamps what runs here.
//
// A Registry holds the planes of one stamp in the KV bucket RW_PLANES of account
// RELAY; every replica of the stamp has a copy in memory and answers from that.
// What a plane is told is true of the last time that the control plane was
// reached: a ping is answered here, and passed on in the background, so that no
// plane dies of a cut.
package plane
