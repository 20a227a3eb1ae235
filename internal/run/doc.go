// Package run starts and stops the parts of a process in order.
//
// A part is a Component: it runs until it is told to stop and says when those
// above it may start. A Stack holds parts in layers; it starts them bottom-up,
// each when the one below is ready, and stops them top-down, so that nothing
// loses what it stands on.
package run
