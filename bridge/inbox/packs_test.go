package inbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/inbox"
	"github.com/ringway/ringway/topology"
)

func keysOf(ids ...string) (keys []bridge.Key) {
	for _, id := range ids {
		on, _ := eventOf(id)
		keys = append(keys, bridge.KeyOf(id, on, on))
	}
	return keys
}

// letter returns the next dead letter.
func (r *receiver) letter() bridge.Letter {
	r.t.Helper()
	select {
	case l := <-r.dead:
		return l
	case <-time.After(5 * time.Second):
		require.Fail(r.t, "no dead letter")
		return bridge.Letter{}
	}
}

// compressed returns a plain pack as a compressed one.
func compressed(plain []byte) []byte { return append([]byte{2}, s2.Encode(nil, plain[1:])...) }

// TestBrokenPacks: each is one dead letter that says why, from whatever stamp and
// as often as it comes, and stops nothing.
func TestBrokenPacks(t *testing.T) {
	whole := func(m *nats.Msg) *nats.Msg { return m }
	cases := map[string]struct {
		spoil  func(*nats.Msg) *nats.Msg
		reason bridge.Reason
		detail string
	}{
		"truncated": {func(m *nats.Msg) *nats.Msg { m.Data = m.Data[:len(m.Data)-5]; return m }, bridge.ReasonInvalid, "ends too soon"},
		"too long":  {func(m *nats.Msg) *nats.Msg { m.Data = append(m.Data, 0); return m }, bridge.ReasonInvalid, "bytes too many"},
		"one more than named": {func(m *nats.Msg) *nats.Msg {
			m.Subject = m.Subject[:len(m.Subject)-22]
			return m
		}, bridge.ReasonInvalid, "its subject names"},
		"compressed, and truncated": {func(m *nats.Msg) *nats.Msg { m.Data = compressed(m.Data); m.Data = m.Data[:len(m.Data)-5]; return m }, bridge.ReasonInvalid, "corrupt"},
		"compressed, of gigabytes":  {func(m *nats.Msg) *nats.Msg { m.Data = []byte("\x02\xff\xff\xff\xff\x0f"); return m }, bridge.ReasonInvalid, "longer than a pack"},
		"compressed garbage":        {func(m *nats.Msg) *nats.Msg { m.Data = compressed([]byte("\x01garbage")); return m }, bridge.ReasonInvalid, "it holds"},
		"garbage":                   {func(m *nats.Msg) *nats.Msg { m.Data = []byte("garbage"); return m }, bridge.ReasonInvalid, "format 103"},
		"nothing":                   {func(m *nats.Msg) *nats.Msg { m.Data = nil; return m }, bridge.ReasonInvalid, "it is empty"},
		"a count of 2^63":           {func(m *nats.Msg) *nats.Msg { m.Data = []byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"); return m }, bridge.ReasonInvalid, "it holds"},
		"a key cut short":           {func(m *nats.Msg) *nats.Msg { m.Subject = m.Subject[:len(m.Subject)-1]; return m }, bridge.ReasonForged, ""},
		"no keys":                   {func(m *nats.Msg) *nats.Msg { m.Subject = m.Subject[:strings.LastIndexByte(m.Subject, '.')]; return m }, bridge.ReasonForged, ""},
		"too many keys":             {func(m *nats.Msg) *nats.Msg { m.Subject += strings.Repeat(keysOf("1")[0], bridge.MaxPack); return m }, bridge.ReasonForged, ""},
		"a long token": {func(m *nats.Msg) *nats.Msg {
			m.Subject = bridge.EventSubject("b", "a", strings.Repeat(m.Subject[len(m.Subject)-1:], 999))
			return m
		}, bridge.ReasonForged, ""},
		"keys of others":                {func(m *nats.Msg) *nats.Msg { m.Subject = packOf("a", "y"+m.Subject, "z"+m.Subject).Subject; return m }, bridge.ReasonForged, ""},
		"it is not the one, compressed": {func(m *nats.Msg) *nats.Msg { m.Data = compressed(m.Data); return m }, bridge.ReasonNone, ""},
		"it is not the one":             {whole, bridge.ReasonNone, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			sub := r.subscribe()
			if c.reason == bridge.ReasonNone {
				require.NoError(t, r.put(c.spoil(packOf("a", "1", "2"))))
				gets(t, sub, "1", "2")
				return
			}
			letters := 1
			if name == "keys of others" {
				letters = 2 // it can be read, and each event is looked at
			}
			for _, from := range []topology.StampID{"a", "c"} {
				m := c.spoil(packOf(from, "1"+string(from), "2"+string(from)))
				m.Subject = strings.Replace(m.Subject, ".b.a.", ".b."+string(from)+".", 1)
				require.NoError(t, r.put(m))
				for range letters {
					l := r.letter()
					require.Equal(t, c.reason, l.Reason)
					require.Equal(t, from, l.From)
					require.Contains(t, strings.Join(l.Detail, ""), c.detail)
				}
			}
			r.none(sub)
			r.noted()
			r.stop()
			r.start()
			require.NoError(t, r.sendPack("a", "3", "4"))
			gets(t, sub, "3", "4")
			require.Empty(t, r.dead, "it is set aside once")
		})
	}
}

// TestKeptOfPacks: what came in packs is found before and after a start, and only
// what is settled is kept.
func TestKeptOfPacks(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	require.NoError(t, r.sendPack("a", "1", "u1", "2"))
	require.NoError(t, r.send("a", "3"))
	require.NoError(t, r.sendPack("a", "2", "4"))
	gets(t, sub, "1", "2", "3", "4")
	for range 2 {
		r.waitFor(1)
		r.noted()
		kept, err := r.in.Kept(t.Context(), keysOf("4", "2", "u1", "none", "3", "1"))
		require.NoError(t, err)
		var ids []string
		for _, k := range kept {
			require.EqualValues(t, "a", k.From)
			require.Equal(t, subject, k.About.Type)
			require.WithinDuration(t, time.Now(), k.At, time.Minute)
			ids = append(ids, k.About.ID)
		}
		require.Equal(t, []string{"4", "2", "3", "1"}, ids)
		for id, from := range map[string]topology.StampID{"1": "a", "u1": "a", "2": "a", "4": "a", "3": "", "none": ""} {
			got, err := r.in.PackedBy(t.Context(), keysOf(id)[0])
			require.NoError(t, err)
			require.Equal(t, from, got, "event %s", id)
		}
		r.stop()
		r.start()
	}
}

// TestPackedByWaitsForARun: what another replica has met meanwhile is known when the
// next run has read it.
func TestPackedByWaitsForARun(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	r.none(sub)
	r.stop()
	require.NoError(t, r.sendPack("a", "1", "2"))
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := r.in.PackedBy(soon, keysOf("1")[0])
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = r.in.Kept(soon, keysOf("1"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	got := make(chan topology.StampID, 1)
	go func() {
		from, _ := r.in.PackedBy(t.Context(), keysOf("1")[0])
		got <- from
	}()
	r.again()
	require.EqualValues(t, "a", <-got)
	gets(t, sub, "1", "2")
}

// TestOldPacksAreForgotten: a pack stays as long as one of its events is not
// settled.
func TestOldPacksAreForgotten(t *testing.T) {
	r := newReceiver(t)
	sub := r.subscribe()
	stored := func() uint64 {
		js, err := jetstream.New(r.fed)
		require.NoError(t, err)
		st, err := js.Stream(t.Context(), inbox.StreamIn)
		require.NoError(t, err)
		return st.CachedInfo().State.Msgs
	}
	require.NoError(t, r.sendPack("a", "1", "2"))
	require.NoError(t, r.sendPack("a", "3", "u1", "4"))
	require.NoError(t, r.sendPack("a", "5", "6"))
	gets(t, sub, "1", "2", "3", "4", "5", "6")
	r.waitFor(1)
	r.noted()
	require.NoError(t, r.in.Forget(t.Context(), time.Now()))
	require.EqualValues(t, 3, stored())
	require.NoError(t, r.in.Forget(t.Context(), time.Now().Add(25*time.Hour)))
	require.EqualValues(t, 2, stored(), "u1 waits")
	other := r.subscribeTo(elsewhere)
	gets(t, other, "u1")
	r.waitFor(0)
	r.noted()
	require.NoError(t, r.in.Forget(t.Context(), time.Now().Add(25*time.Hour)))
	require.Zero(t, stored())
	from, err := r.in.PackedBy(t.Context(), keysOf("1")[0])
	require.NoError(t, err)
	require.Empty(t, from)
	require.NoError(t, r.sendPack("a", "1", "2"))
	gets(t, sub, "1", "2")
}

// left stores what an earlier process has noted.
func (r *receiver) left(progress string) {
	r.t.Helper()
	js, err := jetstream.New(r.srv.Connect("relay"))
	require.NoError(r.t, err)
	_, err = js.Publish(r.t.Context(), "state.inbox", []byte(progress))
	require.NoError(r.t, err)
}

func TestProgressOfAnEarlierVersionIsRead(t *testing.T) {
	r := newReceiver(t)
	r.stop()
	for i := range 5 {
		require.NoError(t, r.send("a", fmt.Sprint(i+1)))
	}
	require.NoError(t, r.sendPack("a", "6", "7"))
	r.left(`{"by":"x","floor":2,"above":[[4,4]],"clean":true}`)
	sub := r.subscribe()
	r.start()
	gets(t, sub, "3", "5", "6", "7")
	r.none(sub)
}

// TestPublishedPartOfAPackIsInDoubt: a replica had announced some events of a pack,
// and died. They are given again if no plane answers; the others are in no doubt.
func TestPublishedPartOfAPackIsInDoubt(t *testing.T) {
	r := newReceiver(t)
	r.stop()
	require.NoError(t, r.sendPack("a", "1", "2", "3", "4"))
	require.NoError(t, r.sendPack("a", "5", "u1"))
	r.left(fmt.Sprintf(`{"by":"x","floor":0,"open":[[1,1]],"exact":true,"places":{"floor":%d,"open":[[%d,%d]]}}`, inbox.EndOf(0), inbox.PlaceOf(1, 1, 4), inbox.PlaceOf(1, 2, 4)))
	sub, other := r.subscribe(), r.subscribeTo(elsewhere)
	r.start()
	gets(t, sub, "1")
	r.in.Answered("1")
	r.in.Answered("2")
	r.in.AfterCommit(func() {})
	gets(t, sub, "3", "4", "5")
	gets(t, other, "u1")
	r.none(sub)
}

// TestGivenPartOfAPackIsInDoubt: planes were given some events of a pack, have not
// answered, and their connections ended with the process.
func TestGivenPartOfAPackIsInDoubt(t *testing.T) {
	r := newReceiver(t)
	r.stop()
	require.NoError(t, r.sendPack("a", "1", "2", "3", "4"))
	r.left(fmt.Sprintf(`{"by":"x","floor":1,"clean":true,"answering":[%[4]q],"places":{"floor":%[1]d,"given":[[%[2]d,%[2]d],[%[3]d,%[3]d]]}}`,
		inbox.EndOf(1), inbox.PlaceOf(1, 1, 4), inbox.PlaceOf(1, 3, 4), subject))
	r.start()
	r.waitFor(2)
	r.stop()
	r.start()
	sub := r.subscribe()
	gets(t, sub, "2", "4")
	r.none(sub)
}
