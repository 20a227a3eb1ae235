// Package catch stores what the clients of a stamp publish in the stream RW_OUT,
// where the stamp has several replicas.
//
// With one replica the server itself captures: the stream subscribes to what
// clients publish. With several the stream has a leader, which may be nobody for
// the second or two of an election, and a publish of core NATS would then be
// lost without a word. So a Catcher in each replica hears all clients, those of
// the other replicas too. The one of the active replica stores what it hears,
// in the order in which it heard it for each shkeptncontext, tries again until
// the stream has answered, and then says so to the others, who forget it. One
// that becomes active stores what it has not been told of. What an active one
// that died had stored and not told is stored twice; the targets refuse it.
//
// One that becomes active asks the others for what it has not heard: it may have
// started later, and what it stores must not come before what they have.
//
// A message that the active one has not heard, because its server was cut off
// from the one that did, is stored by whoever heard it: some seconds later the
// active one says that it holds nothing that old.
package catch
