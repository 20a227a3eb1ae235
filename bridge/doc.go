// Package bridge is the vocabulary of moving events between stamps: what an
// event is, which kinds there are and which way each may go, the names on the
// wire, and the Router that decides where an event goes.
//
// It is pure: it opens no connection, reads no clock and logs nothing. The
// mechanisms lie below it: outbox (capture and forward), inbox (store and
// deliver), deadletter and live.
//
// The rules come from docs/protocol.md and, for Keptn, from what its programs
// do on the wire.
package bridge
