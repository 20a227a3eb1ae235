// Package canary proves that events get through, pair of stamps by pair.
//
// An Asker sends every peer a small question from time to time, over account
// FED, the links and the peer's bridge: the very path of events. An Answerer
// answers once it has read the state of the stream that stores events, so an
// answer means that an event sent now would have been stored. From the four
// times of a question and its answer follow the delay in each direction and
// how far apart the two clocks are, as NTP reckons them.
//
// Nothing is stored on the way, and nobody waits for a canary.
package canary
