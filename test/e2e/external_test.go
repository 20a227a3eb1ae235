package e2e_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// TestExternalNATS: a stamp keeps the NATS it has, which holds Keptn's stream.
// Its clients never hear of Ringway, and events cross in both directions.
func TestExternalNATS(t *testing.T) {
	ext, leaf := externalNATS(t, func(*server.Options) {})
	client := ext.Connect()
	js, err := jetstream.New(client)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}})
	require.NoError(t, err)
	sub, err := client.QueueSubscribeSync(triggered, "helm-service")
	require.NoError(t, err)
	require.NoError(t, client.Flush())

	f := fed.New(t, withExternal(ext, leaf))
	keptn := f.Tap("control", finished, "")
	for _, id := range []string{"1", "2", "3"} {
		body := event(triggered, id, "dev", "k")
		f.Publish("control", triggered, body)
		m, err := sub.NextMsg(fed.Patience)
		require.NoError(t, err)
		require.Equal(t, string(body), string(m.Data))

		answer := event(finished, id, "dev", "k")
		require.NoError(t, client.Publish(finished, answer))
		require.Equal(t, string(answer), string(keptn.Next().Data))
	}
}

// TestPlanesOfAnExternalNATS: who subscribes there, and does not register, is
// registered on its behalf.
func TestPlanesOfAnExternalNATS(t *testing.T) {
	ext, leaf := externalNATS(t, func(*server.Options) {})
	client := ext.Connect()
	_, err := client.QueueSubscribeSync(triggered, "helm-service")
	require.NoError(t, err)
	require.NoError(t, client.Flush())
	f := fed.New(t, withExternal(ext, leaf), func(o *gateway.Options) {
		o.Planes.Behalf, o.Planes.Grace = 300*time.Millisecond, time.Second
	})
	require.Eventually(t, func() bool { return f.Status("tls").Planes.Fresh == 1 }, fed.Patience, 5*time.Millisecond)
	client.Close()
	require.Eventually(t, func() bool { return f.Status("tls").Planes == gateway.PlaneStatus{} }, fed.Patience, 5*time.Millisecond)
}
