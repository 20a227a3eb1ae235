package jstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readerTime is how long one try to make a reader may take.
	readerTime = 300 * time.Millisecond
	// readerTries is how often it is tried before the caller's time is used up.
	readerTries = 6
	// readerIdle is how long the server keeps one that nobody uses.
	readerIdle = time.Minute
)

// Reader makes a consumer that delivers a stream, or what it has on subjects if
// there are any, from sequence from on, once and without acknowledgements. It lives in the memory of one server and dies with
// it; who reads has to see that no delivery is missing, and to make another. For
// some seconds after the death of a replica it may be put there, where nobody
// answers, so it is tried several times, each with a new choice.
func Reader(ctx context.Context, s jetstream.Stream, from uint64, subjects ...string) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1), FilterSubjects: subjects, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: readerIdle, MaxDeliver: 1,
	}
	for range readerTries {
		asking, cancel := context.WithTimeout(ctx, readerTime)
		c, err := s.CreateConsumer(asking, cfg)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return c, err //nolint:wrapcheck // the caller says which stream
		}
	}
	return s.CreateConsumer(ctx, cfg) //nolint:wrapcheck // the same
}
