package outbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// maxLook bounds how many held events are looked at for one question.
const maxLook = 20_000

// A Held is one event that RW_HOLD has for a target.
type Held struct {
	About  bridge.About
	Target topology.StampID
	Since  time.Time // when it was stored there
	Why    string    // why the target does not get it
}

// Held returns at most n of the events that are held and concern match, or have
// one of keys if there are any. cut says that there may be others.
func (o *Outbox) Held(ctx context.Context, match string, keys []bridge.Key, n int) (out []Held, cut bool, err error) {
	why := map[topology.StampID]string{}
	for _, l := range o.Lanes() {
		if l.Held > 0 {
			why[l.Target] = "it is away since " + l.Since.UTC().Format(time.TimeOnly) + ": " + l.Err
		}
	}
	if len(why) == 0 {
		return nil, false, nil
	}
	s, err := o.js.Stream(ctx, StreamHold)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", StreamHold, err)
	}
	var subjects []string
	for _, k := range keys {
		subjects = append(subjects, holdPrefix+"*."+k, holdPrefix+"*."+k+".*")
	}
	looked := 0
	err = jstream.Each(ctx, s, 1, subjects, func(m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
		looked++
		subject := m.Headers().Get(bridge.HeaderSubject)
		about := bridge.About{ID: m.Headers().Get(bridge.HeaderHop), Type: subject}
		if e, err := bridge.Parse(subject, m.Data()); err == nil {
			about = e.Names(subject)
		}
		if len(keys) > 0 || about.Concerns(match) {
			to, _, _ := strings.Cut(strings.TrimPrefix(m.Subject(), holdPrefix), ".")
			out = append(out, Held{About: about, Target: topology.StampID(to), Since: meta.Timestamp, Why: why[topology.StampID(to)]})
		}
		return len(out) < n && looked < maxLook
	})
	if err != nil {
		return out, true, fmt.Errorf("read %s: %w", StreamHold, err)
	}
	return out, len(out) == n || looked == maxLook, nil
}
