package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/internal/jstream"
)

const (
	// resetTime bounds one question about a consumer. The answer comes from
	// whoever leads it, which may be nobody; the next try finds another leader,
	// or that it is gone.
	resetTime = 300 * time.Millisecond
	// resetTries is how often one is asked.
	resetTries = 8
)

// freshConsumer returns a durable consumer that begins with the first event
// that was not acknowledged, whatever an earlier one was given: it deletes that
// and makes another. JetStream can also tell a consumer to begin again
// (CONSUMER.RESET), but requests of an earlier reader stay with it, and are
// served for two seconds whether anybody listens or not (nats-server 2.15, where
// leaf nodes are enabled).
func freshConsumer(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	_, err := asks(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return nil, js.DeleteConsumer(ctx, stream, cfg.Durable)
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("reset consumer of %s: %w", stream, err)
	}
	// Where there are replicas they elect a leader first. To ask for the same
	// consumer again makes no other and is answered by whoever leads it by then.
	c, err := asks(ctx, func(ctx context.Context) (jetstream.Consumer, error) { return js.CreateConsumer(ctx, stream, cfg) })
	if err != nil {
		return nil, fmt.Errorf("open consumer of %s: %w", stream, err)
	}
	return c, nil
}

// asks puts a question until it is answered, some times.
func asks(ctx context.Context, question func(context.Context) (jetstream.Consumer, error)) (jetstream.Consumer, error) {
	return jstream.AskFor(ctx, resetTime, resetTries, question) //nolint:wrapcheck // the caller says what it asked
}
