package bridge_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// keysOf returns what the subject of a pack names.
func keysOf(copies []*bridge.Copy) (keys []bridge.Key) {
	for _, c := range copies {
		keys = append(keys, c.Key)
	}
	return keys
}

// TestPacks: packs of all sizes one after another share memory, and what was given away
// stays as it is.
func TestPacks(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	type made struct {
		in         []*bridge.Copy
		data, copy []byte
	}
	var all []made
	for range 50 {
		in := somePack(1 + r.IntN(bridge.MaxPack))
		room := bridge.MaxPackBytes - 20_000
		for _, c := range in {
			c.Body = bytes.Repeat([]byte(`{"name":"carts"}`), r.IntN(1+room/16/len(in)))
			if r.IntN(3) == 0 {
				for i := range c.Body {
					c.Body[i] = byte(r.Uint32())
				}
			}
		}
		data := bridge.Pack(in)
		require.LessOrEqual(t, len(data), len(bridge.AppendPack(nil, in)))
		all = append(all, made{in, data, bytes.Clone(data)})
	}
	for _, m := range all {
		require.Equal(t, m.copy, m.data)
		requirePack(t, m.in, keysOf(m.in), m.data)
	}
}

// TestPackLeavesWhatIsNotSmaller: random bytes travel as they are.
func TestPackLeavesWhatIsNotSmaller(t *testing.T) {
	t.Parallel()
	in := somePack(2)
	in[0].Body = make([]byte, 10_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range in[0].Body {
		in[0].Body[i] = byte(r.Uint32())
	}
	require.Equal(t, bridge.AppendPack(nil, in[:1]), bridge.Pack(in[:1]))
}

// TestPackTooLong: what a sender may not make is not decompressed.
func TestPackTooLong(t *testing.T) {
	t.Parallel()
	in := somePack(1)
	in[0].Body = make([]byte, 1<<20)
	data := append([]byte{2}, s2.Encode(nil, bridge.AppendPack(nil, in)[1:])...)
	require.Less(t, len(data), 100_000)
	_, err := bridge.Unpack(keysOf(in), data)
	require.ErrorIs(t, err, bridge.ErrPack)
	require.ErrorContains(t, err, "longer than a pack may be")
}
