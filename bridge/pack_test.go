package bridge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

func somePack(n int) []*bridge.Copy {
	out := make([]*bridge.Copy, n)
	for i := range out {
		out[i] = &bridge.Copy{
			Key: bridge.KeyOf(strings.Repeat("x", i), "t", "s"), Subject: "sh.keptn.event.a.triggered", Hop: uint64(i) + 1<<40,
			Captured: time.Unix(1_700_000_000, int64(i)).UTC(), Mode: bridge.ModeWait, Rule: "stage dev",
			Within: time.Duration(i) * time.Second, Body: []byte(strings.Repeat("{", i)),
		}
	}
	out[0].Trace = "00-1-2-01"
	return out
}

func TestPack(t *testing.T) {
	t.Parallel()
	in := somePack(bridge.MaxPack)
	subject := bridge.PackSubject("to", "from", in)
	require.Less(t, len(subject), 3072, "a line of NATS's protocol has 4096 bytes, with names of stamps, an account, and the reply")
	to, from, rest, ok := bridge.Address(subject)
	require.True(t, ok)
	require.Equal(t, "to from", string(to)+" "+string(from))
	keys, ok := bridge.PackKeys(rest)
	require.True(t, ok)
	size := 16
	for _, c := range in {
		size += c.Packed()
	}
	plain := bridge.AppendPack(nil, in)
	require.LessOrEqual(t, len(plain), size)
	for _, body := range [][]byte{plain, bridge.Pack(in)} {
		requirePack(t, in, keys, body)
		for _, c := range [][]bridge.Key{keys[1:], append(keys[:1:1], keys...)} {
			_, err := bridge.Unpack(c, body)
			require.ErrorIs(t, err, bridge.ErrPack)
		}
	}
}

func requirePack(t *testing.T, want []*bridge.Copy, keys []bridge.Key, body []byte) {
	t.Helper()
	got, err := bridge.Unpack(keys, body)
	require.NoError(t, err)
	for i := range got {
		require.Equal(t, want[i].Body, append([]byte{}, got[i].Body...))
		got[i].Body = want[i].Body
		require.Equal(t, *want[i], got[i])
	}
}

func TestPackSubjects(t *testing.T) {
	t.Parallel()
	key := bridge.KeyOf("1", "t", "s")
	for _, rest := range []string{key, key + ".2", "pack", "pack.a", "pack.a.short", "pack.a." + key + "x", "pick.a." + key, "pack.a." + strings.Repeat(key, bridge.MaxPack+1)} {
		_, ok := bridge.PackKeys(rest)
		require.False(t, ok, rest)
	}
	keys, ok := bridge.PackKeys("pack.a." + key + key)
	require.True(t, ok)
	require.Equal(t, []bridge.Key{key, key}, keys)
	require.False(t, (&bridge.Copy{Key: key, Attempt: 1}).Packable(), "offers of one task are told apart by their subjects")
}

func FuzzUnpack(f *testing.F) {
	in := somePack(5)
	_, _, rest, _ := bridge.Address(bridge.PackSubject("to", "from", in))
	keys, _ := bridge.PackKeys(rest)
	for _, body := range [][]byte{bridge.AppendPack(nil, in), bridge.Pack(in)} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := bridge.Unpack(keys, data)
		if err != nil {
			require.ErrorIs(t, err, bridge.ErrPack)
			return
		}
		require.Len(t, got, len(keys))
	})
}

// TestDigest: what is no key comes with the subject of any message, however long.
func TestDigest(t *testing.T) {
	t.Parallel()
	key := bridge.KeyOf("1", "", "")
	seen := map[bridge.Digest]string{}
	for _, k := range []string{
		key, bridge.KeyOf("2", "", ""), "", "x", "no key at all, and long", "!!!!!!!!!!!!!!!!!!!!!!",
		key[:21], key[:20] + "\r\n", key + "A", key + key, strings.Repeat("A", 1000), strings.Repeat("-", 22), strings.Repeat("_", 22), strings.Repeat("é", 11),
	} {
		d := bridge.DigestOf(k)
		require.Equal(t, d, bridge.DigestOf(k))
		require.Empty(t, seen[d])
		seen[d] = k
	}
}
