// Package natstest runs bare NATS servers for the tests of a package: a real
// server in this process, on a port of its own, with its store in the test's
// folder, gone when the test is over.
//
// StartStamp has the accounts of a stamp; Start has none and needs no
// credentials. Addr is for servers whose address must be known first.
package natstest
