// Package demo is a demonstration: a control plane that runs sequences as
// Keptn's shipyard-controller does, planes that answer as Keptn's integrations
// do, and a Ledger that knows what was sent and what arrived.
//
// All of them are plain NATS clients without credentials that know one URL
// each, as real Keptn has: no headers, no de-duplication, no knowledge of the
// federation behind the server. What goes wrong for them would go wrong for
// Keptn. A Show runs the whole on any Federation; a Switchboard of Relays lets
// it cut and heal links inside one process.
package demo
