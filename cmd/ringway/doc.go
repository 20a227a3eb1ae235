// Command ringway is the gateway, everything one asks about a federation
// before it runs, and a demonstration.
//
// Every verb is thin: load, call, print. What it prints for people goes to
// standard output, or with -o json one JSON value and nothing else; logs and
// errors go to standard error. The exit code is 0 if all is well, 1 if
// something failed or a check did not hold, 2 if the command line is wrong.
package main
