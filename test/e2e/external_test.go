package e2e_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
)

// TestExternalNATS: a stamp keeps the NATS it has, which holds Keptn's stream.
// Its clients never hear of Ringway, and events cross in both directions.
func TestExternalNATS(t *testing.T) {
	leaf := natstest.Addr(t)
	ext := natstest.Start(t, func(o *server.Options) {
		host, port, err := net.SplitHostPort(leaf)
		require.NoError(t, err)
		o.LeafNode.Host = host
		o.LeafNode.Port, err = strconv.Atoi(port)
		require.NoError(t, err)
	})
	client := ext.Connect()
	js, err := jetstream.New(client)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "keptn", Subjects: []string{"sh.keptn.>"}})
	require.NoError(t, err)
	sub, err := client.QueueSubscribeSync(triggered, "helm-service")
	require.NoError(t, err)
	require.NoError(t, client.Flush())

	f := fed.New(t, strings.Replace(world, "{name: tls, geo: eu, ring: dev,",
		`{name: tls, geo: eu, ring: dev, clients: {mode: external, url: "`+ext.URL()+`", leafnode: "nats-leaf://`+leaf+`"},`, 1))
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
