package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/crash"
)

// An ack is a target's answer about one parcel.
type ack struct {
	n   uint64 // of the parcel
	err error  // nil: stored, now or by an earlier attempt
}

// onAck gives an answer to the lane that waits for it.
func (o *Outbox) onAck(ctx context.Context, m *nats.Msg) {
	crash.At(crash.OutboxAnswered)
	_, from, rest, ok := bridge.Address(m.Subject)
	if !ok {
		return
	}
	n, err := strconv.ParseUint(rest, 10, 64)
	if err != nil {
		return
	}
	o.mu.RLock()
	l := o.lanes[from]
	o.mu.RUnlock()
	if l == nil {
		return
	}
	select {
	case l.acks <- ack{n: n, err: readAck(m)}:
	case <-ctx.Done():
	}
}

// readAck returns nil if the target's stream has the event.
func readAck(m *nats.Msg) error {
	if m.Header.Get("Status") == "503" {
		return fmt.Errorf("no way to the stamp, or its gateway is down: %w", nats.ErrNoResponders)
	}
	var pa struct {
		Stream string `json:"stream"`
		Error  *struct {
			Code        int    `json:"code"`
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &pa); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	switch {
	case pa.Error == nil && pa.Stream != "":
		return nil
	case pa.Error == nil:
		return fmt.Errorf("read answer: %.100q", m.Data)
	case strings.Contains(pa.Error.Description, "maximum messages per subject"):
		// The stream keeps one message a subject, and the subject ends in the
		// event's key: it has the event already.
		return nil
	}
	return fmt.Errorf("the stamp's stream refused: %s (%d)", pa.Error.Description, pa.Error.ErrCode)
}
