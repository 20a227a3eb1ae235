package poll_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/poll"
)

const uuidContext = "0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33"

// finishedBody is what a plane posts, with an id of its own or none.
func finishedBody(id, triggered string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"type":"sh.keptn.event.deployment.finished","source":"helm","specversion":"1.0","shkeptncontext":%q,`+
		`"triggeredid":%q,"shkeptnspecversion":"0.2.4","traceparent":"x","data":{"project":"p","stage":"one","service":"c","n":1.50}}`, id, uuidContext, triggered)
}

// TestPostIsCapturedAndHeard: in the shape of api-service, once it is stored, and
// by the clients of the stamp.
func TestPostIsCapturedAndHeard(t *testing.T) {
	b := newBench(t)
	sub := b.subscribe("sh.keptn.>")
	a := b.post("x", finishedBody("mine", "t1"))
	require.Equal(t, `{"keptnContext":"`+uuidContext+`"}`, a.text)
	all := b.captured()
	require.Len(t, all, 1)
	var e map[string]any
	require.NoError(t, json.Unmarshal([]byte(all[0]), &e))
	require.NotEqual(t, "mine", e["id"])
	require.Len(t, e["id"], 36)
	at, err := time.Parse(time.RFC3339, e["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	delete(e, "id")
	delete(e, "time")
	require.Equal(t, map[string]any{
		"contenttype": "application/json", "specversion": "1.0", "source": "helm", "type": "sh.keptn.event.deployment.finished",
		"shkeptncontext": uuidContext, "triggeredid": "t1", "data": map[string]any{"project": "p", "stage": "one", "service": "c", "n": 1.5},
	}, e)
	require.Contains(t, all[0], "1.50")
	m, err := sub.NextMsg(eventually)
	require.NoError(t, err)
	require.Equal(t, all[0], string(m.Data))
	_, err = bridge.Parse(m.Subject, m.Data)
	require.NoError(t, err)
}

// TestRetryCrossesOnce: at once, at the same time and after a restart; another
// plane's or another event is no retry.
func TestRetryCrossesOnce(t *testing.T) {
	b := newBench(t)
	sub := b.subscribe("sh.keptn.>")
	first := b.post("x", finishedBody("1", "t1"))
	require.Equal(t, http.StatusOK, first.status)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { b.post("x", finishedBody("1", "t1")) })
	}
	wg.Wait()
	b.stop()
	b.start()
	require.Equal(t, first.text, b.post("x", finishedBody("1", "t1")).text)
	require.Len(t, b.captured(), 1)
	_, err := sub.NextMsg(eventually)
	require.NoError(t, err)
	_, err = sub.NextMsg(50 * time.Millisecond)
	require.Error(t, err, "the stamp's clients get it once")
	b.post("y", finishedBody("1", "t1"))
	b.post("x", finishedBody("2", "t1"))
	b.post("x", finishedBody("1", "t2"))
	require.Len(t, b.captured(), 4)
}

// TestSameAgainWithoutAnID: the same answer is a retry, however late; the same
// request is one only for a while, and a key says that it is none.
func TestSameAgainWithoutAnID(t *testing.T) {
	b := newStopped(t)
	b.edit = func(c *poll.Config) { c.Retry = 300 * time.Millisecond }
	b.start()
	request := []byte(`{"type":"sh.keptn.event.one.delivery.triggered","source":"ops-script","specversion":"1.0","data":{"project":"p","stage":"one","service":"c"}}`)
	one := b.post("x", request)
	b.post("x", finishedBody("", "t1"))
	require.Equal(t, one.KeptnContext, b.post("x", request).KeptnContext)
	require.Len(t, b.captured(), 2)
	require.NotEqual(t, one.KeptnContext, b.post("x", request, "Idempotency-Key", "two").KeptnContext)
	require.Eventually(t, func() bool { return b.post("x", request).KeptnContext != one.KeptnContext }, eventually, 10*tick)
	require.Len(t, b.captured(), 4)
	b.post("x", finishedBody("", "t1"))
	require.Len(t, b.captured(), 4)
}

// TestStoreThatFails: nothing is answered 200 that is not stored, and the retry is
// the same event.
func TestStoreThatFails(t *testing.T) {
	b := newStopped(t)
	b.edit = func(c *poll.Config) { c.Patience = 100 * time.Millisecond }
	b.start()
	st, err := b.js.Stream(t.Context(), "RW_OUT")
	require.NoError(t, err)
	config := st.CachedInfo().Config
	config.MaxMsgSize = 1
	_, err = b.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	sub := b.subscribe("sh.keptn.>")
	a := b.post("x", finishedBody("1", "t1"))
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Equal(t, 503, a.Code)
	config.MaxMsgSize = -1
	_, err = b.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, b.post("x", finishedBody("1", "t1")).status)
	require.Len(t, b.captured(), 1)
	_, err = sub.NextMsg(eventually)
	require.NoError(t, err)
	_, err = sub.NextMsg(20 * time.Millisecond)
	require.Error(t, err)
}

// TestRetryAfterACrash: the event was stored, and whoever posted it was not told.
func TestRetryAfterACrash(t *testing.T) {
	b := newBench(t)
	require.Equal(t, http.StatusOK, b.post("x", finishedBody("1", "t1")).status)
	b.stop()
	// As if the process had died before it noted that it was done.
	var m *jetstream.RawStreamMsg
	require.Eventually(t, func() bool { // that it is done is stored a moment later
		st, err := b.js.Stream(t.Context(), poll.StreamPost)
		require.NoError(t, err)
		m, err = st.GetMsg(t.Context(), st.CachedInfo().State.LastSeq)
		return err == nil && strings.Contains(string(m.Data), `,"done":true`)
	}, 10*time.Second, time.Millisecond)
	_, err := b.js.Publish(t.Context(), m.Subject, []byte(strings.Replace(string(m.Data), `,"done":true`, "", 1)), jetstream.WithMsgID("crash"))
	require.NoError(t, err)
	b.start()
	require.Equal(t, http.StatusOK, b.post("x", finishedBody("1", "t1")).status)
	require.Len(t, b.captured(), 1)
}

// TestPostsThatAreRefused: as api-service does, or since Keptn would crash.
func TestPostsThatAreRefused(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		body    string
		status  int
		code    int
		message string
	}{
		{`{"source":"s","data":{}}`, 422, 602, "type in body is required"},
		{`{"type":"sh.keptn.event.a.b.triggered","data":{}}`, 422, 602, "source in body is required"},
		{`{"type":"sh.keptn.event.a.b.triggered","source":"s"}`, 422, 602, "data in body is required"},
		{`{}`, 422, 602, "data in body is required"},
		{`{`, 400, 400, "parsing body failed"},
		{`[]`, 400, 400, "parsing body failed: it is a JSON array, and an event is an object"},
		{`{"type":5}`, 400, 400, "parsing body failed: type is a number, not a text"},
		{``, 400, 400, "parsing body failed"},
		{`{"type":"other","source":"s","data":{}}`, 400, 400, "none of Keptn's"},
		{`{"type":"sh.keptn.>","source":"s","data":{}}`, 400, 400, "none of Keptn's"},
		{`{"type":"sh.keptn.event.t.started","source":"s","data":{"project":"p","stage":"one","service":"c"}}`, 400, 400, "no triggeredid"},
		{`{"type":"sh.keptn.event.t.started","source":"s","triggeredid":"1","data":{"project":"p","stage":"one"}}`, 400, 400, "no data.service"},
		{`{"type":"sh.keptn.event.a.b.triggered","source":"s","data":{"labels":{"n":1}}}`, 400, 400, "labels"},
		{`{"type":"sh.keptn.event.a.b.triggered","source":"s","data":{"x":"` + strings.Repeat("x", 1<<20+1<<19) + `"}}`, 413, 413, "bytes"},
	} {
		a := b.post("x", []byte(c.body))
		require.Equal(t, c.status, a.status, "%.80s", c.body)
		require.Equal(t, c.code, a.Code)
		require.Contains(t, a.Message, c.message)
	}
	require.Empty(t, b.captured())
	for _, body := range []string{
		string(finishedBody("1", "1")),
		strings.ReplaceAll(string(finishedBody("2", "1")), "finished", "status.changed"),
		`{"type":"sh.keptn.log.error","source":"","data":{"message":"boom"}}`,
		`{"type":"sh.keptn.event.one.delivery.triggered","source":"s","shkeptncontext":"short","data":{}}`,
	} {
		require.Equal(t, http.StatusOK, b.post("x", []byte(body)).status, body)
	}
	all := b.captured()
	require.Len(t, all, 4)
	require.Contains(t, all[2], `"source":"https://github.com/keptn/keptn/api"`)
	require.Contains(t, all[3], `"shkeptncontext":"73686f72-7420-4020-a020-202020202020"`)
	// The direct way to shipyard-controller is no other.
	require.Equal(t, http.StatusOK, b.do(http.MethodPost, "/p/x/api/controlPlane/v1/event", finishedBody("1", "1")).status)
	require.Len(t, b.captured(), 4)
	// An endpoint with a slash at its end (contract §6.2).
	require.Equal(t, http.StatusOK, b.do(http.MethodPost, "/p/x/api//v1/event", finishedBody("1", "1")).status)
	require.Len(t, b.captured(), 4)
}

// TestPostIsBoundedByTheOtherNATS: what the NATS that a stamp had before does not
// take is refused, not lost on the way to it.
func TestPostIsBoundedByTheOtherNATS(t *testing.T) {
	b := newStopped(t)
	b.edit = func(c *poll.Config) { c.MaxPayload = func() int64 { return 16 << 10 } }
	b.start()
	body := func(n int) []byte {
		return []byte(`{"type":"sh.keptn.event.a.b.triggered","source":"s","data":{"x":"` + strings.Repeat("x", n) + `"}}`)
	}
	require.Equal(t, http.StatusOK, b.post("x", body(8000)).status)
	a := b.post("x", body(9000))
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	require.Equal(t, "event has more than 8192 bytes", a.Message)
}

// TestPostWaitsForTheStore: one that is away for a moment is not told to the plane.
func TestPostWaitsForTheStore(t *testing.T) {
	b := newBench(t)
	config := jetstream.StreamConfig{Name: "RW_OUT", Subjects: []string{"cap.sh.keptn.>"}}
	require.NoError(t, b.js.DeleteStream(t.Context(), "RW_OUT"))
	done := make(chan answer, 1)
	go func() { done <- b.post("x", finishedBody("1", "t1")) }()
	select {
	case a := <-done:
		t.Fatalf("it does not wait: %s", a.text)
	case <-time.After(600 * time.Millisecond):
	}
	_, err := b.js.CreateStream(t.Context(), config)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, (<-done).status)
	require.Len(t, b.captured(), 1)
}
