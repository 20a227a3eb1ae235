// Package contrast shows why events do not simply cross: what happens to
// unmodified Keptn integrations when the NATS servers of several clusters form
// a plain supercluster with gateways and nothing more.
//
// Keptn's integrations subscribe in a queue group named after the integration
// and look at the stage of an event only after it was delivered to them. NATS
// gives each message to one member of a group, wherever that member is. So the
// group of one cluster takes the events of all, or every cluster gets every
// event; in no arrangement does each stamp get its own. The tests keep that
// loss on record, as the ground for invariant I3.
package contrast
