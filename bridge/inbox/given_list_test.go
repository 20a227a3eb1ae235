package inbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGivenList: it does what a slice would do, whatever the hashes of the ids are.
func TestGivenList(t *testing.T) {
	t.Parallel()
	for name, hash := range map[string]func(string) uint64{
		"as it is":       nil,
		"many are equal": func(id string) uint64 { return uint64(id[len(id)-1] % 3) },
		"all are equal":  func(string) uint64 { return 7 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newGivenList()
			if hash != nil {
				l.hash = hash
			}
			random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
			crowds := []*crowd{nil, {ids: map[uint64]bool{1: true}}, {ids: map[uint64]bool{2: true}}}
			var want []*given
			start := time.Now()
			of := func(id string) int { return slices.IndexFunc(want, func(g *given) bool { return g.id == id }) }
			for i := range 8000 {
				id := fmt.Sprint("id-", random.IntN(5000))
				switch at := of(id); {
				case at >= 0 && random.IntN(2) == 0:
					l.remove(id)
					want = slices.Delete(want, at, at+1)
				case at >= 0:
					want[at].at, want[at].to, want[at].times = start.Add(time.Duration(i)), crowds[i%3], i
					l.put(want[at])
					l.again(id, i)
				default:
					g := &given{
						n: l.next, seq: uint64(i), id: id, subject: fmt.Sprint("s", i%4), context: fmt.Sprint("c", i), //nolint:gosec // not negative
						at: start.Add(time.Duration(i)), within: time.Duration(i), to: crowds[i%3],
					}
					l.put(g)
					want = append(want, g)
				}
				l.remove("nobody")
				require.Equal(t, len(want), l.len())
			}
			all := l.those(start.Add(time.Hour), func(string, *crowd, int) bool { return true })
			require.Len(t, all, len(want))
			for i, g := range all {
				require.Equal(t, want[i].at.Sub(start), g.at.Sub(start))
				g.at, want[i].at = time.Time{}, time.Time{}
				require.Equal(t, want[i], g)
				got := l.get(g.id)
				got.at = time.Time{}
				require.Equal(t, g, got)
			}
			require.Nil(t, l.get("nobody"))
			var late []uint64
			for i := len(want) - 1; i >= max(0, len(want)-100); i-- {
				if want[i].subject == "s1" {
					late = append(late, want[i].seq)
				}
			}
			require.Equal(t, late, l.latest(nil, 100, map[string]bool{"s1": true}))

			l.trim(start.Add(givenFor + 4000))
			require.Len(t, l.those(start.Add(time.Hour), func(string, *crowd, int) bool { return true }), l.len())
			l.trim(start.Add(2 * givenFor))
			require.Zero(t, l.len())
			require.Empty(t, l.at)
			require.Empty(t, l.others)
		})
	}
}

// TestGivenListIsBounded: the oldest go first.
func TestGivenListIsBounded(t *testing.T) {
	t.Parallel()
	l := newGivenList()
	now := time.Now()
	for i := range maxGiven + 5000 {
		l.put(&given{id: fmt.Sprint(i), at: now, seq: uint64(i)}) //nolint:gosec // not negative
		l.trim(now)
	}
	require.Equal(t, maxGiven, l.len())
	require.Nil(t, l.get("4999"))
	require.EqualValues(t, 5000, l.get("5000").seq)
	require.LessOrEqual(t, len(l.blocks), maxGiven/blockSize+2)
	for i := range maxGiven + 5000 {
		l.remove(fmt.Sprint(i))
	}
	require.LessOrEqual(t, len(l.blocks), 1)
}

// TestGivenListLetsGoOfWhatWasAnswered: a few tasks that nobody answers do not keep
// the memory of the many beside them, nor have them looked at again and again.
func TestGivenListLetsGoOfWhatWasAnswered(t *testing.T) {
	t.Parallel()
	l := newGivenList()
	now := time.Now()
	const blocks = 40
	long := strings.Repeat("x", 1000)
	for i := range blocks * blockSize {
		id := fmt.Sprint(i, long)
		l.put(&given{id: id, context: "c", subject: "s", at: now, seq: uint64(i)}) //nolint:gosec // not negative
		if i%blockSize != 7 {
			l.remove(id)
		}
		l.trim(now)
	}
	require.Equal(t, blocks, l.len())
	rows, text := 0, 0
	for b := l.oldest; b != nil; b = b.newer {
		rows += cap(b.rows)
		text += cap(b.text)
	}
	require.Less(t, rows, 4*blockSize)
	require.Less(t, text, 4*blockSize*len(long))

	for i, g := range l.those(now, func(string, *crowd, int) bool { return true }) { // they are what they were
		n := i*blockSize + 7
		require.EqualValues(t, n, g.n)
		require.EqualValues(t, n, g.seq)
		require.Equal(t, fmt.Sprint(n, long), g.id)
		require.Equal(t, g, l.get(g.id))
	}
	l.trim(now.Add(2 * givenFor))
	require.Zero(t, l.len())
	require.Empty(t, l.blocks)
}

// TestGivenListCrowdsOverflow: more crowds than a block keeps.
func TestGivenListCrowdsOverflow(t *testing.T) {
	t.Parallel()
	l := newGivenList()
	now := time.Now()
	old := &crowd{ids: map[uint64]bool{9: true}}
	l.put(&given{id: "old", at: now, to: old})
	for i := range 2*maxCrowds + 10 {
		c := &crowd{}
		l.put(&given{id: "again", at: now, to: c})
		if i%maxCrowds > maxCrowds-10 || i%maxCrowds < 10 {
			require.Same(t, c, l.get("again").to)
			require.Same(t, old, l.get("old").to)
		}
	}
}

// TestGivenListOfLongTexts: a block of them has fewer tasks.
func TestGivenListOfLongTexts(t *testing.T) {
	t.Parallel()
	l := newGivenList()
	now := time.Now()
	const n = 200
	id := func(i int) string { return fmt.Sprintf("%d%s", i, strings.Repeat("x", 64<<10)) }
	for i := range n {
		l.put(&given{id: id(i), at: now, seq: uint64(i)}) //nolint:gosec // not negative
		if i%3 == 0 {
			l.remove(id(i))
		}
	}
	for i := range n {
		g := l.get(id(i))
		require.Equal(t, i%3 != 0, g != nil)
		if g != nil {
			require.EqualValues(t, i, g.seq)
		}
	}
	for _, b := range l.blocks {
		require.Less(t, len(b.text), 2*maxBlockText)
	}
	for i := range n {
		l.remove(id(i))
	}
	require.LessOrEqual(t, len(l.blocks), 1)
}
