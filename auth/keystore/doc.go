// Package keystore keeps the keys of a federation, and the folders of its
// stamps, on disk.
//
// The store belongs to whoever runs the federation and to no gateway. Keys and
// tokens lie as nsc has them, so nsc can read them (with NKEYS_PATH set to the
// store and --data-dir to its stores folder):
//
//	LOCK                                             held by the one process that uses the store
//	keys/O/xx/O….nk  keys/A/xx/A….nk  keys/U/xx/U….nk  seeds, named by their public keys
//	creds/<operator>/SYS/admin.creds                 a user of the system account, for people
//	stores/<operator>/<operator>.jwt                 the operator
//	stores/<operator>/accounts/<account>/<account>.jwt
//	stores/<operator>/accounts/FED/users/<stamp>.leaf.jwt, <stamp>.bridge.jwt
//	ca/ca.crt  ca/ca.key                             the CA of the links
//	certs/<stamp>/gateway.crt .key link.crt .key     of hubs
//	certs/<stamp>/peer.crt .key                      of every stamp
//	retired/<stamp>/U….jwt                           users that were replaced, so that Revoke knows them
//
// What each file is for, and what becomes of the federation if it is lost,
// rolled back or stolen, is in docs/auth.md.
//
// Everything but LOCK has mode 0600, in directories of mode 0700. A file is
// written beside its place, synced and renamed, so a crash leaves the old or
// the new. Nothing here prints or returns a seed but in a Folder.
package keystore
