// Package deadletter keeps the events that were set aside, with the reason, so
// that a person can look at them and send them on their way again.
//
// They lie in the stream RW_DLQ of account RELAY. It holds at most MaxLetters
// for at most MaxAge, and drops the oldest beyond that: dead letters must not
// fill the disk that live events need.
package deadletter
