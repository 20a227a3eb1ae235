// Package jstream makes sure of streams without asking more of JetStream than
// has to change.
package jstream
