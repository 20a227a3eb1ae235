// Package console shows people how a federation is: pages of HTML on the admin
// port, read-only, with nothing from elsewhere. What they show is what
// `ringway status` shows, a picture of the links, and small charts of the last
// hour.
//
// However many look, all stamps are asked at most every few seconds, and only
// while somebody looks: one loop asks, and the pages show what it last found.
// Everything is bounded, so that nobody who looks holds up a gateway.
//
// The package knows the documents of the admin port, not the gateway: it reads
// them as any client of it would.
package console
