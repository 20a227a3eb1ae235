package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/jstream"
	"github.com/ringway/ringway/topology"
)

// The streams of this package, in account RELAY of the local server.
//
// RW_OUT holds what this stamp's clients published and not every target has
// stored yet. Losing it loses those events; rolling it back repeats events,
// which their targets refuse.
//
// RW_HOLD holds what a target that was away has not stored yet. The same
// holds for it.
const (
	StreamOut  = "RW_OUT"
	StreamHold = "RW_HOLD"
)

// maxUnsettled bounds the events that are read from RW_OUT and not settled,
// and with them the memory of all lanes.
const maxUnsettled = 16384

// keptnSubjects is everything Keptn publishes.
const keptnSubjects = bridge.CapturePrefix + "sh.keptn.>"

func outStream(r *bridge.Router, replicas int) jetstream.StreamConfig {
	subjects := []string{keptnSubjects}
	for _, p := range r.CustomSubjects(topology.RouteDurable) {
		subjects = append(subjects, bridge.CapturePrefix+string(p))
	}
	var transform *jetstream.SubjectTransformConfig
	if replicas > 1 { // package catch hears and stores
		for i, s := range subjects {
			subjects[i] = bridge.StorePrefix + strings.TrimPrefix(s, bridge.CapturePrefix)
		}
		transform = &jetstream.SubjectTransformConfig{Source: bridge.StorePrefix + ">", Destination: bridge.CapturePrefix + ">"}
	}
	return jetstream.StreamConfig{
		Name: StreamOut, SubjectTransform: transform, Subjects: subjects, Replicas: replicas,
		Description: "events published in this stamp that not every target has stored",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew,
	}
}

// openOut makes RW_OUT, or makes it what it should be. One that is a work queue
// stays one: the server changes no stream into one or from one, and to make it
// anew would lose what is published meanwhile.
func openOut(ctx context.Context, js jetstream.JetStream, r *bridge.Router, replicas int) (jetstream.Stream, error) {
	config := outStream(r, replicas)
	was, err := jstream.Ask(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, StreamOut) })
	switch {
	case err == nil:
		config.Retention = was.CachedInfo().Config.Retention
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("open stream %s: %w", StreamOut, err)
	}
	s, err := jstream.Ensure(ctx, js, config)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", StreamOut, err)
	}
	return s, nil
}

func holdStream(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamHold, Subjects: []string{holdPrefix + ">"}, Replicas: replicas,
		Description: "events whose target is away, in order",
		Retention:   jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew,
	}
}

// errGap reports that a consumer has delivered something that did not arrive:
// the replica that led it died in that moment. It would be offered again after
// the ack wait, behind what comes now.
var errGap = errors.New("a delivery was lost")

// deliveries checks that everything a consumer delivers arrives.
type deliveries uint64

func (d *deliveries) next(m jetstream.Msg) (*jetstream.MsgMetadata, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	if meta.Sequence.Consumer != uint64(*d)+1 {
		return nil, fmt.Errorf("%w: number %d of the stream is delivery %d and not %d", errGap, meta.Sequence.Stream, meta.Sequence.Consumer, uint64(*d)+1)
	}
	*d++
	return meta, nil
}
