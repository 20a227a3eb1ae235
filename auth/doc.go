// Package auth decides who may do what in a federation, and makes the tokens
// and certificates that prove it.
//
// One operator signs the accounts. FED and SYS are the same everywhere; each
// stamp has three accounts of its own, which exist on its local server only:
// APP for its clients, RELAY for our capture, DELIVER for our last hop. What an
// account or a user may do is in policy.go and nowhere else.
//
// A stamp gets a Folder: everything it needs to prove who it is, and nothing
// that would let it speak as another. Issue makes one from the topology and
// key pairs. The gateway makes the short-lived rest from its Folder by itself:
// the token of clients without credentials (Folder.Sentinel), which follows
// the topology, and its own users (Folder.LocalCreds).
//
// The package is pure: it opens nothing and reads no clock. The same keys,
// topology and time give the same tokens, byte for byte, and what was issued
// before is kept as long as it says the same. Formats are those of nats-server
// and nsc. Package auth/keystore keeps keys and folders on disk; docs/auth.md
// tells people how to use all this.
package auth
