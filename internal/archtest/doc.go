// Package archtest holds the rules of this repository as tests: who may import
// whom, what may lie at the top, how long a file and a function may be, which
// calls are not made, and that the documents name only things that exist.
//
// Each rule fails with the place, the rule and the reason. The rules are tables
// in rules_test.go; changing one is a change of design and should look like it
// in a diff. docs/architecture.md draws the import table.
package archtest
