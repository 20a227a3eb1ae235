// Package pull is the way to a Keptn control plane that a stamp reaches by HTTP
// only. For the whole stamp it polls the open .triggered events and puts each
// into the stamp's own streams, once, as if shipyard-controller had published it
// there; and it posts the answers that reach the stamp for that control plane.
//
// Both ways go through stream RW_PULL: what was polled is known as long as the
// control plane lists it, and what is posted is noted before and after, since
// api-service gives every POST a new id and Keptn counts what it gets.
package pull
