// Package console tests the console in a real Chromium, against `ringway up`
// and against a federation of 300 made stamps, and takes the pictures of
// docs/console.md.
//
// It is a module of its own, so that what drives a browser is no dependency of
// the gateway. `make console` runs it; UPDATE=1 rewrites the pictures.
package console
