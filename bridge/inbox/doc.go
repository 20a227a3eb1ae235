// Package inbox receives the events that other stamps sent here and delivers
// them to the clients of this stamp.
//
// The stream RW_IN stores what arrives, and is the answer to the sender. It
// keeps one message a subject and refuses a second; a subject ends in the key
// of its event, or in the keys of all events of a pack, so the store itself sees
// to it that a message is stored once, over restarts and retries of any length
// (invariant I2). An event that comes in another message as well is told by its
// key, from a memory that is made of those subjects. Delivered events stay for
// the de-duplication window, at least 24 hours.
//
// Delivery publishes the event in account DELIVER, from where the stamp's
// clients import it, when somebody subscribes to its subject. Until then the
// event waits. How far delivery has come is written to the stream RW_STATE
// after each batch, so that a restart neither forgets nor repeats.
package inbox
