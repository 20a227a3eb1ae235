// Package fed is a federation in a test: every stamp of a topology in this
// process, with real servers, and a toxiproxy on each link, so that links can
// be cut, slowed down and silenced.
//
// Nothing in it waits for time to pass: Tap.Next waits for a message, with a
// long limit, and what must not arrive is asked for by a marker sent after it.
package fed
