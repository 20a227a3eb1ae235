package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// maxLook bounds how many held events are looked at one by one for one question.
const maxLook = 500

// A Held is one event that RW_HOLD has for a target.
type Held struct {
	About  bridge.About
	Target topology.StampID
	Since  time.Time // when it was stored there
	Why    string    // why the target does not get it
}

// Held returns at most n of the events that are held and concern match, or have
// one of keys. Where very many are held only those with keys are found; cut says
// that there may be others.
func (o *Outbox) Held(ctx context.Context, match string, keys []bridge.Key, n int) (out []Held, cut bool, err error) {
	why := map[topology.StampID]string{}
	total := int64(0)
	for _, l := range o.Lanes() {
		if l.Held > 0 {
			total += l.Held
			why[l.Target] = "it is away since " + l.Since.UTC().Format(time.TimeOnly) + ": " + l.Err
		}
	}
	if total == 0 {
		return nil, false, nil
	}
	s, err := o.js.Stream(ctx, StreamHold)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", StreamHold, err)
	}
	subjects, cut, err := heldSubjects(ctx, s, why, keys, total)
	for _, subject := range subjects {
		m, err := jstream.Ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
			return s.GetLastMsgForSubject(ctx, subject)
		})
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // on its way meanwhile
		}
		if err != nil {
			return out, true, fmt.Errorf("read %s: %w", StreamHold, err)
		}
		to, key, _ := strings.Cut(strings.TrimPrefix(m.Subject, holdPrefix), ".")
		key, _, _ = strings.Cut(key, ".") // an offer has its number behind it
		about := bridge.About{ID: m.Header.Get(bridge.HeaderHop), Type: m.Header.Get(bridge.HeaderSubject)}
		if e, err := bridge.Parse(about.Type, m.Data); err == nil {
			about = e.Names(about.Type)
		}
		if about.Concerns(match) || slices.Contains(keys, key) {
			out = append(out, Held{About: about.Clone(), Target: topology.StampID(to), Since: m.Time, Why: why[topology.StampID(to)]})
		}
		if len(out) == n {
			return out, true, nil
		}
	}
	return out, cut, err
}

// heldSubjects returns what to look for in RW_HOLD, a work queue, of which nobody
// but its lanes may have a consumer: everything, or what has one of keys.
func heldSubjects(ctx context.Context, s jetstream.Stream, targets map[topology.StampID]string, keys []bridge.Key, total int64) (out []string, cut bool, err error) {
	if total > maxLook {
		for target := range targets {
			for _, k := range keys {
				one := holdPrefix + string(target) + "." + k
				out = append(out, one, one+".*")
			}
		}
		return out, true, nil
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(holdPrefix+">"))
	if err != nil {
		return nil, true, fmt.Errorf("read %s: %w", StreamHold, err)
	}
	return slices.Sorted(maps.Keys(info.State.Subjects)), false, nil
}
