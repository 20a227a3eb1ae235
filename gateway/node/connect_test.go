package node_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
)

// TestAccountsAreMadeBeforeAnybodyConnects: none is made for two at once, one of
// whom would be refused.
func TestAccountsAreMadeBeforeAnybodyConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub(t, "a"))
	accounts := []node.Account{node.SYS, node.FED, node.APP, node.RELAY, node.DELIVER}
	require.GreaterOrEqual(t, w.run("a").AccountsMade(), len(accounts))
}

// TestBusyServerIsAskedAgain: what a server answers that is too busy is no
// refusal.
func TestBusyServerIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		nats.ErrTimeout, fmt.Errorf("connect: %w", io.ErrClosedPipe),
		errors.New("nats: Authentication Timeout"), errors.New("nats: expected 'PONG', got 'PING'"),
	} {
		require.True(t, node.Transient(err), err)
	}
	require.False(t, node.Transient(nats.ErrAuthorization))
}
