// Command site makes a static site of the documents of the repository: those in
// docs, and what they link to. It needs no network, and what it makes needs no
// server. The menu is docs/README.md; every link and anchor is checked.
//
//	site -root ../.. -out ../../public
package main
