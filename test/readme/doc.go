// Package readme runs what the pages of README.md, docs and examples tell a reader
// to type. The run blocks of a page are one shell script, in a copy of the
// repository.
//
// A fenced block says by the words after its language what becomes of it:
//
//	sh run            is run after the blocks before it
//	sh run + ARGS     is run with ARGS after its last command, to bound what else would run for ever
//	sh ci             is a step of .ci/run
//	sh sketch         is not run: it needs what is not here, such as a cluster, or much of a machine
//	yaml file=NAME    is what NAME holds from then on
//
// A shell block without such a word fails, so that none is forgotten. Blocks of
// other languages are left alone. Each 127.0.0.1:PORT becomes a free one.
package readme
