// Package health collects what the parts of a process say about themselves.
//
// A part is a Reporter with one method. A Board asks them all and sums up.
// Alive, ready and connected are different things: a process that answers is
// alive; one with no part Down is ready, which means that it can serve its own
// stamp; one with a part Degraded is ready and says what is missing.
package health
