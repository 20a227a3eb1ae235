package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
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

// TestTooLongForAnExternalNATS: an event that the NATS of a stamp does not take is
// set aside with a reason. Given to it, it would cut the leafnode and be lost.
func TestTooLongForAnExternalNATS(t *testing.T) {
	ext, leaf := externalNATS(t, func(*server.Options) {})
	client := ext.Connect()
	sub, err := client.SubscribeSync(triggered)
	require.NoError(t, err)
	require.NoError(t, client.Flush())
	f := fed.New(t, withExternal(ext, leaf))
	before := f.Status("tls").Links
	pad := `"pad":"` + strings.Repeat("x", 1<<20) + `","project"`
	f.Publish("control", triggered, []byte(strings.Replace(string(event(triggered, "1", "dev", "a")), `"project"`, pad, 1)), event(triggered, "2", "dev", "b"))
	m, err := sub.NextMsg(fed.Patience)
	require.NoError(t, err)
	require.Equal(t, string(event(triggered, "2", "dev", "b")), string(m.Data))
	var letters []struct{ Reason, Side string }
	require.NoError(t, json.Unmarshal([]byte(get(t, http.MethodGet, f.Stamp("tls").Gateway().AdminURL()+"/events/dlq")), &letters))
	require.Len(t, letters, 1)
	require.Equal(t, "too-large", letters[0].Reason)
	for i, l := range f.Status("tls").Links {
		require.Equal(t, before[i].Since, l.Since, "%s was cut", l.Kind)
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
