package jstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// askTime is how long one answer of JetStream is waited for.
	askTime = time.Second
	// askTries is how often it is asked, if nothing comes.
	askTries = 5
	// askPause is how long after an answer that will be another one soon it is
	// asked again.
	askPause = 20 * time.Millisecond
)

// Ask puts a question to JetStream until it is answered, for some seconds; the
// question must do no harm if it is put twice. An answer can be lost, and can be
// that there is no JetStream: while a server takes in other claims of an account it
// has no way for the questions of that account, and the replica that leads a stream
// may have died. nats.go waits for one answer, and as long as ctx allows.
func Ask[T any](ctx context.Context, question func(context.Context) (T, error)) (T, error) {
	return AskFor(ctx, askTime, askTries, question)
}

// AskFor is Ask with a time for each answer and how often it is asked if none
// comes.
func AskFor[T any](ctx context.Context, limit time.Duration, tries int, question func(context.Context) (T, error)) (answer T, err error) {
	for end := time.Now().Add(limit * time.Duration(tries)); ; {
		asking, cancel := context.WithTimeout(ctx, limit)
		answer, err = question(asking)
		cancel()
		switch {
		case ctx.Err() != nil || !passes(err) || time.Now().After(end):
			return answer, err
		case !silent(err):
			select {
			case <-time.After(askPause):
			case <-ctx.Done():
			}
		}
	}
}

// silent reports whether nothing was answered.
func silent(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// passes reports whether the same question may have another answer soon.
func passes(err error) bool {
	var api *jetstream.APIError
	return silent(err) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.As(err, &api) && api.Code == unavailable
}

// unavailable is the code of JetStream's errors that are about now.
const unavailable = 503

// Tell is Ask for what has no answer but that it was done.
func Tell(ctx context.Context, order func(context.Context) error) error {
	_, err := Ask(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, order(ctx) })
	return err
}
