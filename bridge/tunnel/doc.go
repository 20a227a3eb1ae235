// Package tunnel carries HTTP between stamps over NATS.
//
// A Client makes an http.RoundTripper or an http.Handler of a named target of
// a stamp. A Server in that stamp forwards what arrives to the target's
// upstream, where TLS and credentials are added; they never cross. Several
// replicas may serve: any one takes a request, and no other gets it.
//
// A request is an exchange of frames (frame.go). Each side numbers its frames,
// so that a lost one is noticed, and sends no more bytes of a body than the
// other has given it credit for (stream.go). Heartbeats between a client and
// the replicas that work for it say when one is gone (peer.go).
//
// A request is given to a replica once. Only one that is safe to repeat, or
// that a replica has said it did not begin, is given to another.
package tunnel
