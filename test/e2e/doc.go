// Package e2e holds what a federation promises, one test a promise. Its tests
// run whole federations: in this process, or as separate processes.
package e2e
