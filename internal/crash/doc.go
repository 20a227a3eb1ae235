// Package crash names the points on the way of an event at which a test lets
// the process die, and puts it there.
//
// In a process that nobody armed a point costs one atomic load. Only a test's own
// executable arms one; no option and no variable of ringway does.
package crash
