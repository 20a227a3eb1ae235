// Package e2e holds what a federation promises, one test a promise. Its tests
// run whole federations: in this process, or as separate processes.
//
// Tests that mostly wait run beside one another when all others are over: those
// of separate processes with t.Parallel, those of this process with beside. The
// rest have the machine for themselves: they are short, bound a time or work hard.
package e2e
