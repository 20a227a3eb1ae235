// Package face serves HTTP to the clients of a stamp: Keptn's API as its own
// gateway shows it, below /api; Keptn's services by the names they have in its
// cluster, told apart by Host or listener; and targets of other stamps below
// /t/<stamp>/<target>.
//
// It finds out who asks and what is meant, holds clients to bounds of time and
// size, and hands on. A request target is taken as it was sent, byte for byte:
// it is never decoded, cleaned or written anew, so no http.ServeMux is here.
package face
