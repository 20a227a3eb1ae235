package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// An engine is one running server.
type engine struct {
	*server.Server
	log *serverLog
}

// A starter starts servers.
type starter struct {
	timeout time.Duration
	log     *slog.Logger
	note    func(line string)
}

// start runs a server made from o until stop. It returns when the server
// serves, or with the cause if it does not in time.
//
// It has the server make accounts, by their keys, before anybody connects. Made
// for the first who needs them, as is usual, one that two ask for at once may be
// given to the second before its signing keys are known (nats-server 2.15,
// buildInternalAccount), who is refused then: Authorization Violation.
func (s starter) start(ctx context.Context, what string, o *server.Options, accounts ...string) (*engine, error) {
	srv, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", what, err)
	}
	for _, key := range accounts {
		if _, err := srv.LookupAccount(key); err != nil {
			srv.Shutdown()
			return nil, fmt.Errorf("make %s: account %s: %w", what, key, err)
		}
	}
	e := &engine{srv, newServerLog(s.log.With("component", what), s.note)}
	srv.SetLoggerV2(e.log, false, false, false)
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() { srv.Start(); close(started) })
	limit := time.NewTimer(s.timeout)
	defer limit.Stop()
	err = e.up(ctx, started, limit.C, s.timeout)
	if err != nil {
		e.stop()
		wg.Wait()
		return nil, fmt.Errorf("start %s: %w", what, err)
	}
	return e, nil
}

// up waits until the server serves. Start returns after every port is bound,
// or after the first thing that is fatal, which Running does not show.
func (e *engine) up(ctx context.Context, started <-chan struct{}, limit <-chan time.Time, timeout time.Duration) error {
	select {
	case <-started:
	case <-e.log.fatal:
	case <-limit:
		return fmt.Errorf("not up after %v", timeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-e.log.fatal:
		return errors.New(e.log.cause)
	default:
	}
	if !e.ReadyForConnections(timeout) {
		return fmt.Errorf("not ready for connections after %v", timeout)
	}
	return nil
}

// stop ends the server at once and waits for all that belongs to it.
func (e *engine) stop() {
	e.Shutdown()
	e.WaitForShutdown()
}
