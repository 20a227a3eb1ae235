// Package otlp sends spans to a collector, by OTLP over HTTP with protobuf.
//
// It is a queue, a batch and a POST: what an SDK of OpenTelemetry does besides,
// the package trace does not need. A collector that is away or slow never holds
// anything up; what finds no room is dropped and counted.
package otlp
