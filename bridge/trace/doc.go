// Package trace makes spans of the steps that events take, one trace for each
// shkeptncontext over all stamps.
//
// Nothing is added to an event for it. The id of a trace is the shkeptncontext,
// and those of spans are made of the event's id, the step and the stamp, so that
// gateways and programs that never spoke to each other name the same span alike.
// What another stamp or a client should know besides, whether the trace is
// recorded, is in the NATS header traceparent (W3C Trace Context).
package trace
