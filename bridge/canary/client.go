package canary

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
)

// Publish publishes a canary event at the NATS of a stamp, as any client of it
// does, and returns the event's id once the server has it. creds is a credentials
// file, for a NATS that asks for one; empty for none.
func Publish(ctx context.Context, url, creds string) (id string, err error) {
	opts := []nats.Option{nats.Name("ringway probe"), nats.MaxReconnects(0)}
	if until, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(time.Until(until)))
	}
	if creds != "" {
		opts = append(opts, nats.UserCredentials(creds))
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return "", fmt.Errorf("connect to NATS at %s: %w", url, err)
	}
	defer nc.Close()
	id = strings.ToLower(rand.Text())
	body, _ := json.Marshal(map[string]any{ // texts
		"specversion": "1.0", "id": id, "type": bridge.CanaryEvent, "source": "ringway-probe", "shkeptncontext": id,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "data": map[string]any{},
	})
	if err = nc.Publish(bridge.CanaryEvent, body); err == nil {
		err = nc.FlushWithContext(ctx)
	}
	if err == nil {
		err = nc.LastError() // what the server refuses it says apart
	}
	if err != nil {
		return "", fmt.Errorf("publish at NATS at %s: %w", url, err)
	}
	return id, nil
}
