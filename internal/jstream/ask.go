package jstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// askTime is how long one answer of JetStream is waited for.
	askTime = time.Second
	// askTries is how often it is asked.
	askTries = 5
)

// Ask puts a question to JetStream until it is answered, some times and some
// seconds; the question must do no harm if it is put twice. An answer can be lost:
// while a server takes in other claims of an account it has no way for the
// questions of that account, and the replica that leads a stream may have died.
// nats.go waits for one answer, and as long as ctx allows.
func Ask[T any](ctx context.Context, question func(context.Context) (T, error)) (T, error) {
	return AskFor(ctx, askTime, askTries, question)
}

// AskFor is Ask with a time for each answer and how often it is asked.
func AskFor[T any](ctx context.Context, limit time.Duration, tries int, question func(context.Context) (T, error)) (answer T, err error) {
	for range tries {
		asking, cancel := context.WithTimeout(ctx, limit)
		answer, err = question(asking)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
			break
		}
	}
	return answer, err
}

// Tell is Ask for what has no answer but that it was done.
func Tell(ctx context.Context, order func(context.Context) error) error {
	_, err := Ask(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, order(ctx) })
	return err
}
