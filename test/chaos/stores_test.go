package chaos_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
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

// kept are the streams that events pass through, by account.
var kept = map[string][]string{"fed": {"RW_IN"}, "relay": {"RW_OUT", "RW_HOLD", "RW_DLQ"}}

// readStores returns what the streams of every stamp hold, by key of the event.
func (s *site) readStores() map[bridge.Key][]record {
	out := map[bridge.Key][]record{}
	for _, stamp := range stamps {
		for _, account := range []string{"fed", "relay"} {
			nc, err := nats.Connect(s.url(stamp), s.member(stamp, account))
			s.must(err)
			js, err := jetstream.New(nc)
			s.must(err)
			for _, stream := range kept[account] {
				for _, r := range readStream(s.t, js, stamp, stream) {
					out[r.key] = append(out[r.key], r)
				}
			}
			nc.Close()
		}
	}
	return out
}

// unsettled returns how many events have not left their stamps.
func (s *site) unsettled() uint64 {
	var n uint64
	for _, stamp := range stamps {
		nc, err := nats.Connect(s.url(stamp), s.member(stamp, "relay"))
		if err != nil {
			return 1
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return 1
		}
		for _, stream := range []string{"RW_OUT", "RW_HOLD"} {
			st, err := js.Stream(s.t.Context(), stream)
			if err != nil {
				return 1
			}
			n += st.CachedInfo().State.Msgs
		}
	}
	return n
}

// member makes a user of an account of a stamp by the account's own key, which
// the federation keeps: it may do everything, and come from anywhere.
func (s *site) member(stamp, account string) nats.Option {
	text, err := os.ReadFile(filepath.Join(s.fed.Dir, "identity", stamp, account+".jwt"))
	s.must(err)
	acc, err := jwt.DecodeAccountClaims(strings.TrimSpace(string(text)))
	s.must(err)
	key := acc.Subject
	seed, err := os.ReadFile(filepath.Join(s.fed.Dir, "keys", "keys", key[:1], key[1:3], key+".nk"))
	s.must(err)
	signer, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	s.must(err)
	user, err := nkeys.CreateUser()
	s.must(err)
	pub, err := user.PublicKey()
	s.must(err)
	userSeed, err := user.Seed()
	s.must(err)
	claims := jwt.NewUserClaims(pub)
	claims.Permissions = jwt.Permissions{Pub: jwt.Permission{Allow: jwt.StringList{">"}}, Sub: jwt.Permission{Allow: jwt.StringList{">"}}}
	token, err := claims.Encode(signer)
	s.must(err)
	return nats.UserJWTAndSeed(token, string(userSeed))
}

func readStream(t testing.TB, js jetstream.JetStream, stamp, stream string) (all []record) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	for seq := info.State.FirstSeq; info.State.Msgs > 0 && seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		require.NoError(t, err)
		r := record{stamp: stamp, stream: stream, seq: seq, at: m.Time, subject: m.Subject, header: m.Header, body: m.Data}
		if packed := r.unpack(t); len(packed) > 0 {
			all = append(all, packed...)
			continue
		}
		r.key = r.keyOf()
		all = append(all, r)
	}
	return all
}

// unpack returns the events of a message that holds several, as if each had come
// by itself; nil if it holds one.
func (r *record) unpack(t testing.TB) (all []record) {
	t.Helper()
	to, from, rest, _ := bridge.Address(r.subject)
	keys, packed := bridge.PackKeys(rest)
	if r.stream != "RW_IN" || !packed {
		return nil
	}
	copies, err := bridge.Unpack(keys, r.body)
	require.NoError(t, err, "%v", r)
	for _, c := range copies {
		one := *r
		one.key, one.body, one.subject = c.Key, c.Body, bridge.EventSubject(to, from, c.Key)
		one.header = nats.Header{bridge.HeaderSubject: {c.Subject}, bridge.HeaderOrigin: {string(from)}, bridge.HeaderMode: {c.Mode}, bridge.HeaderRule: {c.Rule}}
		all = append(all, one)
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
