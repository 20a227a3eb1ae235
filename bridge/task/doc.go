// Package task follows the tasks that the Keptn control planes of this stamp
// give to other stamps: who was asked, who has a plane, who started, who
// finished.
//
// It sees to four things.
//
//   - Only a stamp that was asked may answer, once for each of its planes.
//   - The barrier. Keptn ends a task as soon as as many answers finished as
//     started (contract §4.6). With several stamps, .finished of the fast ones
//     are held until every stamp has started, said that it has no plane, or
//     missed its deadline (invariant I7).
//   - The deadline. A stamp that missed it is answered for, by a well-formed
//     errored answer in its name, or left out.
//   - The turn. A task for any one stamp is offered to the nearest first, and
//     to the next if none started in time. A stamp gives it to its planes only
//     with leave of this package, so never two have it at once.
//
// What a task is and what an answer does to it is a pure state machine (Task).
// Tasks keeps the open ones in memory and in the stream RW_TASK, so that a
// restart, or another replica, goes on where this one stopped. Notes about tasks
// with one target, nearly all of them, are stored many at a time (batch); a task
// has a message of its own from its first answer on, which counts.
package task
