package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringway/ringway/gateway/node"
)

const (
	// lookStore is how often the store is looked at.
	lookStore = time.Second
	// mended is how many looks in a row must find that the disk can be written
	// before the process ends, to be started again.
	mended = 5
)

// errMended reports a store that can be written again, but not by this process.
var errMended = errors.New("streams could not be written; the disk can be written again, but the server must start anew for it")

// watchStore looks at the streams on the disk until ctx ends. It fails when a
// store that was stuck has been mended: whoever runs the process starts it
// again, and until then clients are served without streams.
func (g *Gateway) watchStore(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(lookStore)
	defer tick.Stop()
	var known []string
	for good := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		troubles := g.node.StoreTroubles()
		g.troubles.Store(&troubles)
		g.metrics.store.Set(float64(len(troubles)))
		now := storeCauses(troubles)
		if !slices.Equal(now, known) {
			g.log.Error("store has changed its state", "n", len(now), "reason", now)
			known = now
		}
		stuck := slices.ContainsFunc(troubles, func(t node.StoreTrouble) bool { return t.Stuck })
		if good++; !stuck || g.node.ProbeStore() != nil {
			good = 0
		}
		if good >= mended {
			return errMended
		}
	}
}

// lookDamaged asks every stream for messages that its server found damaged when
// it opened it. It is asked once: the answer takes the whole index.
func (g *Gateway) lookDamaged(ctx context.Context, c *conns) {
	var out []string
	for _, q := range g.newTide(c).questions() {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		m, err := q.nc.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+q.stream, []byte(`{"deleted_details":true}`))
		cancel()
		var info struct {
			State struct {
				Lost *struct {
					Msgs  []uint64 `json:"msgs"`
					Bytes uint64   `json:"bytes"`
				} `json:"lost"`
			} `json:"state"`
		}
		if err != nil || json.Unmarshal(m.Data, &info) != nil || info.State.Lost == nil {
			continue
		}
		out = append(out, fmt.Sprintf("stream %s: %d messages were lost from a damaged file (%d bytes)", q.stream, len(info.State.Lost.Msgs), info.State.Lost.Bytes))
	}
	if len(out) > 0 {
		g.log.Error("store was damaged", "n", len(out), "reason", out)
	}
	g.damaged.Store(&out)
}

// storeCauses says what is wrong with the store, one line a trouble.
func storeCauses(troubles []node.StoreTrouble) []string {
	out := []string{}
	for _, t := range troubles {
		what := "streams"
		if t.Stream != "" {
			what = "stream " + t.Stream
		}
		text := fmt.Sprintf("%s: %s", what, t.Cause)
		if !t.Since.IsZero() {
			text += fmt.Sprintf("; what clients published since %s may not be stored", t.Since.UTC().Format(time.RFC3339))
		}
		out = append(out, text)
	}
	return out
}
