package inbox

import (
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// The streams of this package.
//
// RW_IN (account FED of the local server) holds every event that arrived, until
// the de-duplication window after its delivery is over. Losing it loses the
// events that wait, and lets a sender's retry deliver an event again.
//
// RW_STATE (account RELAY) holds how far delivery has come. Losing it delivers
// again what is still in RW_IN; rolling it back delivers again what came since.
const (
	StreamIn    = "RW_IN"
	StreamState = "RW_STATE"
)

func inStream(me topology.StampID, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamIn, Subjects: []string{bridge.EventsFor(me)}, Replicas: replicas,
		Description:          "events for this stamp, one message a key",
		Retention:            jetstream.LimitsPolicy,
		Storage:              jetstream.FileStorage,
		MaxMsgsPerSubject:    1,
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		// A replica that lags behind would answer that an event is not there, and
		// what is not there is settled: only the leader is asked.
		AllowDirect: replicas <= 1,
	}
}

// StateStream returns the configuration of StreamState, where others keep records as
// well.
func StateStream(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamState, Subjects: []string{"state.>"}, Replicas: replicas,
		Description:       "how far delivery has come",
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardOld,
	}
}
