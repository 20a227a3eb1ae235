package bridge

import "context"

// A Sink takes events that pass on the bus of its own stamp, for those who do
// not subscribe there: planes that poll, a control plane that is reached by HTTP
// only. Its methods are called from several goroutines.
type Sink interface {
	// Wants reports, quickly and without asking anybody, whether the events of a
	// subject are of use. A subject that a Sink wants counts as subscribed.
	Wants(subject string) bool
	// Put returns once the events are stored. It is called before the progress
	// that covers them is noted, so the same event may come again, also after a
	// restart; it is told apart by Event.Key. An error means that none may be
	// taken for stored.
	Put(ctx context.Context, events []Passing) error
}

// A Passing is an event as it passes on the bus of a stamp. Its fields are not
// to be changed.
type Passing struct {
	Subject string
	Body    []byte
	// Local says that a client of the stamp published it; else it came from
	// another stamp.
	Local bool
}

// An Overhearer is a Sink that is also to be Put what it has a use for but does
// not take: such an event does not count as subscribed, and waits for whoever it
// is meant for.
type Overhearer interface {
	// Overhears reports, quickly and without asking anybody, whether the events
	// of a subject are of use, wanted or not.
	Overhears(subject string) bool
}

// Draws reports whether s is to be Put the events of a subject.
func Draws(s Sink, subject string) bool {
	if o, ok := s.(Overhearer); ok {
		return o.Overhears(subject)
	}
	return s.Wants(subject)
}

// A Releaser is a Sink that can give a task back: the stamp lets go of it, since
// nobody has started it in time, and another may do it.
type Releaser interface {
	// Release returns once nobody is offered the task any more whose .triggered
	// has this id. It is no error if the Sink does not have it. The task may be
	// Put again later.
	Release(ctx context.Context, triggered string) error
}
