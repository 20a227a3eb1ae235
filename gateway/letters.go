package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/topology"
)

// A LettersQuestion asks for the dead letters of a stamp from number Start on, at
// most Limit of them.
type LettersQuestion struct {
	Start uint64 `json:"start"`
	Limit int    `json:"limit"`
}

// maxLettersTold bounds the letters of an answer.
const maxLettersTold = 1000

// tellLetters answers who watches this stamp. The events are left out: a watcher
// sees none, and who may is at the admin face.
func (g *Gateway) tellLetters(ctx context.Context, _ topology.StampID, body []byte) (any, error) {
	var q LettersQuestion
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	box := g.letters.Load()
	if box == nil {
		return nil, errNotConnected
	}
	all, err := box.List(ctx, q.Start, min(q.Limit, maxLettersTold))
	if err != nil {
		return nil, err
	}
	out := make([]deadletter.Entry, 0, len(all))
	for _, e := range all {
		is := *e
		is.Body = nil
		out = append(out, is)
	}
	return out, nil
}

// replayLimit is how long dead letters are sent on their way for one order: who
// passed it on waits a little longer.
const replayLimit = orderLimit - time.Second

// replayLetters is hold.Config.Replay.
func (g *Gateway) replayLetters(ctx context.Context, letters []uint64) ([]uint64, error) {
	box := g.letters.Load()
	if box == nil {
		return nil, errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, replayLimit)
	defer cancel()
	for i, n := range letters {
		if err := (letterbook{box, g}).Replay(ctx, n); err != nil {
			return letters[:i], err
		}
	}
	return letters, nil
}
