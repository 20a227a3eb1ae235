// Package topology is what a federation is: the file that a platform team
// writes, the checked and completed Mesh that it stands for, and the View of
// one stamp.
//
// The three are made each only from the one before: Load gives a Spec, as
// written; Compile checks everything at once and gives a Mesh, complete and
// immutable; Mesh.View gives what one stamp needs. After Compile nothing is
// validated again.
//
// The package is pure: it reads no file, opens no connection, reads no clock
// and logs nothing. docs/topology.md is the reference of the file.
package topology
