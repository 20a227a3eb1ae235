// Package hold keeps what operators want of a stamp: whether it holds what
// begins something new, and at which level its gateways log. It says to the
// inbox and to whoever logs what is in force.
//
// All of it is one record in the stream RW_STATE of account RELAY, together with
// the last orders that were carried out, so that what is in force and the note of
// who wanted it are written at once. It survives restarts, and every replica of
// the stamp reads it. Losing it lets go of what is held.
package hold
