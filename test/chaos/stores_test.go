package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/internal/natstest"
)

// A record is one message that a stamp's streams hold after the end.
type record struct {
	stamp, stream string
	seq           uint64
	at            time.Time // when it was stored
	subject       string    // in the stream
	header        nats.Header
	key           bridge.Key
	body          []byte
}

func (r record) String() string {
	return fmt.Sprintf("%s:%s:%d (%s, %s)", r.stamp, r.stream, r.seq, r.subject, r.at.Format("15:04:05.000"))
}

// kept are the streams that events pass through.
var kept = []string{"RW_OUT", "RW_HOLD", "RW_IN", "RW_DLQ"}

// readStores returns what the streams of every stamp hold, by key of the event,
// when no gateway runs any more. A bare server opens each store.
func readStores(t testing.TB, data string) map[bridge.Key][]record {
	t.Helper()
	out := map[bridge.Key][]record{}
	for _, stamp := range stamps {
		for _, r := range readStore(t, filepath.Join(data, stamp), stamp) {
			out[r.key] = append(out[r.key], r)
		}
	}
	return out
}

func readStore(t testing.TB, dir, stamp string) (all []record) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "RW_*"))
	require.NoError(t, err)
	require.NotEmpty(t, folders, dir)
	accounts := map[string]*server.Account{}
	srv := natstest.Start(t, func(o *server.Options) {
		o.StoreDir, o.JetStreamDomain = dir, stamp
		for _, f := range folders {
			name := filepath.Base(filepath.Dir(filepath.Dir(f)))
			if accounts[name] == nil {
				accounts[name] = server.NewAccount(name)
				o.Accounts = append(o.Accounts, accounts[name])
				o.Users = append(o.Users, &server.User{Username: name, Password: "x", Account: accounts[name]})
			}
		}
	})
	for name := range accounts {
		acc, err := srv.LookupAccount(name)
		require.NoError(t, err)
		require.NoError(t, acc.EnableJetStream(nil, nil))
		js, err := jetstream.New(srv.Connect(nats.UserInfo(name, "x")))
		require.NoError(t, err)
		for _, stream := range kept {
			if _, err := os.Stat(filepath.Join(dir, "jetstream", name, "streams", stream)); err == nil {
				all = append(all, readStream(t, js, stamp, stream)...)
			}
		}
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	return all
}

func readStream(t testing.TB, js jetstream.JetStream, stamp, stream string) (all []record) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	n := s.CachedInfo().State.Msgs
	if n == 0 {
		return nil
	}
	sub, err := js.OrderedConsumer(t.Context(), stream, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	for range n {
		m, err := sub.Next(jetstream.FetchMaxWait(10 * time.Second))
		require.NoError(t, err)
		meta, err := m.Metadata()
		require.NoError(t, err)
		r := record{
			stamp: stamp, stream: stream, seq: meta.Sequence.Stream, at: meta.Timestamp,
			subject: m.Subject(), header: m.Headers(), body: m.Data(),
		}
		r.key = r.keyOf()
		all = append(all, r)
	}
	return all
}

// keyOf returns the key of the event that a record is about.
func (r *record) keyOf() bridge.Key {
	switch r.stream {
	case "RW_IN": // rw.v1.ev.<to>.<from>.<key>[.<attempt>]
		return strings.Split(r.subject, ".")[5]
	case "RW_HOLD": // hold.<to>.<key>[.<attempt>]
		return strings.Split(r.subject, ".")[2]
	case "RW_DLQ":
		if k := r.header.Get("Ringway-Dead-Key"); k != "" {
			return k
		}
	}
	if e, err := bridge.Parse(strings.TrimPrefix(r.subject, bridge.CapturePrefix), r.body); err == nil {
		return e.Key()
	}
	if id := r.header.Get(nats.MsgIdHdr); id != "" && r.stream == "RW_OUT" {
		return bridge.KeyOf(id, "", strings.TrimPrefix(r.subject, bridge.CapturePrefix))
	}
	return "bad:" + string(r.body)
}

// reason returns why a dead letter is one.
func (r *record) reason() bridge.Reason { return bridge.Reason(r.header.Get("Ringway-Dead-Reason")) }

// outbound reports whether a dead letter was on its way out.
func (r *record) outbound() bool {
	return strings.HasPrefix(r.subject, "dlq."+string(bridge.SideOut)+".")
}
