// Package federation runs every stamp of a topology in one process, with real
// servers, tokens, certificates and files, as `ringway up` and the tests do.
//
// Each stamp is a gateway.Gateway of its own, made from its own identity folder
// and data directory, exactly as `ringway run` would make it. Every connection
// between stamps passes through a Relay of its own, so that a stamp, or one
// link, can be cut off and healed.
package federation
