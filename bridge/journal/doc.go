// Package journal remembers the last steps that the events of one gateway took, in
// memory and within bounds, so that it can be asked what became of one.
//
// To add a step costs well below a microsecond and keeps nothing of an event but
// its names: id, type, context, project, stage, service and source. What is asked
// for is found by id, by the id of the task that it answers, or by shkeptncontext,
// without a look at all the rest.
package journal
