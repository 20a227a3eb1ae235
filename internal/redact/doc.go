// Package redact takes out of text what must not be seen by whoever is sent it:
// passwords, tokens, seeds, keys and the bodies of events. It knows nothing of
// formats for sure and would rather take out too much.
package redact
