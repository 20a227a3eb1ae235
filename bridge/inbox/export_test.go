package inbox

import "context"

// Observed returns of how many subjects it is known who subscribes.
func (in *Inbox) Observed(ctx context.Context) (n int, err error) {
	done := make(chan struct{})
	err = in.ask(ctx, func() { defer close(done); n = len(in.subscribed) }, done)
	return n, err
}
