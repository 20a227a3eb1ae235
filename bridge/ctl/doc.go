// Package ctl lets gateways ask each other about themselves, over account FED
// and the links: the way of events, so that who answers can be reached.
//
// A Server is a NATS micro service, as `nats micro ls` lists them, with an
// endpoint for each question. An Asker puts one question to many stamps at
// once and says which of them did not answer.
//
// An answer goes to the stamp that asked, whatever the reply subject of the
// question says.
package ctl
