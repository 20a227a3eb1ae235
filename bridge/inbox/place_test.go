package inbox

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// somePlaces are those of a stream of n messages, most of them packs.
func somePlaces(r *rand.Rand, n int) (all []place) {
	for seq := uint64(1); seq <= uint64(n); seq++ { //nolint:gosec // small
		size := 1
		if r.IntN(3) > 0 {
			size = 1 + r.IntN(5)
		}
		if r.IntN(10) == 0 {
			size = bridge.MaxPack
		}
		for i := range size {
			all = append(all, placeOf(seq, i, size))
		}
	}
	return all
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 0)) //nolint:gosec // a seed that can be repeated
	all := somePlaces(r, 300)
	require.True(t, slices.IsSorted(all))
	_, before := uint64(0), endOf(0)
	for i, p := range all {
		first, last := span(p)
		require.Equal(t, before+1, first, "each number belongs to one event")
		before = last
		require.Equal(t, i == len(all)-1 || seqOf(all[i+1]) != seqOf(p), p&lastBit != 0)
		if p&lastBit != 0 {
			require.Equal(t, endOf(seqOf(p)), last)
		}
		for j := i + 1; j < min(i+70, len(all)); j++ {
			require.Equal(t, j == i+1, adjacent(p, all[j]))
		}
	}
	require.Equal(t, uint64(7), seqOf(placeOf(7, 63, 64)))
	require.Equal(t, 63, indexOf(placeOf(7, 63, 64)))
}

// TestRanges: whatever is put into ranges, and however two of them are joined, the
// same events are within.
func TestRanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a seed that can be repeated
		all := somePlaces(r, 20)
		some := func() (in map[place]bool, list []place) {
			in = map[place]bool{}
			for _, p := range all {
				if r.IntN(2) == 0 {
					in[p], list = true, append(list, p)
				}
			}
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			return in, append(list, list[:len(list)/3]...)
		}
		inA, a := some()
		inB, b := some()
		ra, rb := ranges(a), ranges(b)
		for _, u := range [][][2]place{union(ra, rb), union(rb, ra)} {
			for i, p := range all {
				require.Equal(t, inA[p], within(ra, p))
				require.Equal(t, inA[p] || inB[p], within(u, p))
				if i > 0 && within(u, p) && within(u, all[i-1]) {
					require.False(t, slices.ContainsFunc(u, func(r [2]place) bool { return r[0] == p }), "neighbours are in one range")
				}
			}
		}
		require.Equal(t, ra, union(ra, nil))
		require.Equal(t, ra, union(nil, ra))
	}
	require.Empty(t, ranges(nil))
	require.False(t, within(nil, placeOf(1, 0, 1)))
}

// TestProgress: events are settled in any order, and the progress is stored and
// read at any time.
func TestProgress(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a seed that can be repeated
		const messages = 20
		all := somePlaces(r, messages)
		p := newProgress()
		require.Equal(t, uint64(1), p.unread())
		done := map[place]bool{}
		for _, i := range r.Perm(len(all)) {
			p.done(all[i])
			p.done(all[i]) // once more is no harm
			done[all[i]] = true
			if r.IntN(20) == 0 {
				b, err := json.Marshal(p)
				require.NoError(t, err)
				var w written
				require.NoError(t, json.Unmarshal(b, &w))
				requireMessages(t, all, done, w)
				p = progress{}
				require.NoError(t, json.Unmarshal(b, &p))
			}
			unread := uint64(messages + 1)
			for _, pl := range all {
				require.Equal(t, done[pl], p.has(pl))
				if !done[pl] {
					unread = min(unread, seqOf(pl))
				}
			}
			require.Equal(t, unread, p.unread())
		}
		require.Equal(t, endOf(messages), p.Floor)
		require.Empty(t, p.Above)
	}
}

// requireMessages asks that an earlier version takes for settled what is so wholly,
// and nothing else.
func requireMessages(t *testing.T, all []place, done map[place]bool, w written) {
	t.Helper()
	whole := map[uint64]bool{}
	for _, p := range all {
		whole[seqOf(p)] = true
	}
	for _, p := range all {
		whole[seqOf(p)] = whole[seqOf(p)] && done[p]
	}
	for seq, is := range whole {
		has := seq <= w.Floor || slices.ContainsFunc(w.Above, func(r [2]uint64) bool { return seq >= r[0] && seq <= r[1] })
		require.Equal(t, is, has, "message %d", seq)
	}
	for i, r := range w.Above {
		require.True(t, r[0] <= r[1] && r[0] > w.Floor && (i == 0 || r[0] > w.Above[i-1][1]))
	}
}

// TestProgressOfAnEarlierVersion counts messages, each of which was one event.
func TestProgressOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	var p progress
	require.NoError(t, json.Unmarshal([]byte(`{"by":"x","floor":10,"above":[[12,14],[20,20]],"open":[[11,11],[15,16]],"exact":true,"given":[[3,5],[13,13]],"answering":["s"]}`), &p))
	for seq := uint64(1); seq <= 25; seq++ {
		at := placeOf(seq, 0, 1)
		require.Equal(t, seq <= 10 || seq >= 12 && seq <= 14 || seq == 20, p.has(at), seq)
		require.Equal(t, seq == 11 || seq == 15 || seq == 16, within(p.Open, at), seq)
		require.Equal(t, seq >= 3 && seq <= 5 || seq == 13, within(p.Given, at), seq)
	}
	require.Equal(t, uint64(11), p.unread())
	for _, seq := range []uint64{11, 15, 16, 17, 18, 19} {
		p.done(placeOf(seq, 0, 1))
	}
	require.Equal(t, endOf(20), p.Floor)
	require.Empty(t, p.Above)
	b, err := json.Marshal(p)
	require.NoError(t, err)
	require.Contains(t, string(b), `"floor":20,`, "an earlier version can go on, too")
	require.Contains(t, string(b), `"open":[[11,11],[15,16]]`)
	require.Contains(t, string(b), `"given":[[3,5],[13,13]]`)
}

// TestClip: what lies beyond the stream's end was of a stream that was lost.
func TestClip(t *testing.T) {
	t.Parallel()
	p := progress{Floor: endOf(2)}
	for _, at := range []place{placeOf(4, 0, 3), placeOf(4, 2, 3), placeOf(6, 0, 2), placeOf(7, 0, 1)} {
		p.done(at)
	}
	p.clip(6)
	require.True(t, p.has(placeOf(6, 0, 2)))
	require.False(t, p.has(placeOf(7, 0, 1)))
	p.clip(4)
	require.True(t, p.has(placeOf(4, 2, 3)))
	require.False(t, p.has(placeOf(6, 0, 2)))
	p.clip(1)
	require.Equal(t, endOf(1), p.Floor)
	require.Empty(t, p.Above)
}
