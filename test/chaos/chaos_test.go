package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/topology"
)

// The seeds that every run of the tests plays, and for how long.
var fixed = []uint64{1, 2}

const short = 8 * time.Second

// TestChaos plays schedules and balances the books. CHAOS_SEED is one seed, or
// "fresh" for new ones; CHAOS_FOR is how long one lasts; CHAOS_SEEDS how many
// fresh ones there are.
func TestChaos(t *testing.T) {
	length := short
	if v := os.Getenv("CHAOS_FOR"); v != "" {
		var err error
		length, err = time.ParseDuration(v)
		require.NoError(t, err)
	}
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { play(t, seed, length) })
	}
}

func seeds(t *testing.T) []uint64 {
	t.Helper()
	switch v := os.Getenv("CHAOS_SEED"); v {
	case "":
		return fixed
	case "fresh":
		n, _ := strconv.Atoi(os.Getenv("CHAOS_SEEDS")) // 0 if it is not given
		var out []uint64
		for range max(n, 1) {
			out = append(out, uint64(rand.Uint32())) //nolint:gosec // no secret
		}
		return out
	default:
		seed, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		return []uint64{seed}
	}
}

func play(t *testing.T, seed uint64, length time.Duration) {
	plan := draw(seed, length)
	t.Logf("replay: make chaos SEED=%d FOR=%s", seed, length)
	s := newSite(t, seed)
	s.run(plan, length)
	findings := balance(s, s.readStores())
	t.Logf("%d events, %d sightings, %d steps; %s", len(s.j.events), len(s.j.sighted), len(plan), s.diary[len(s.diary)-1])
	if len(findings) > 0 || t.Failed() {
		t.Logf("what was done:\n%s", strings.Join(s.diary, "\n"))
		t.Errorf("the books do not balance: %s\nreplay: make chaos SEED=%d FOR=%s", summary(findings), seed, length)
	}
}

// TestSameSeedSameSchedule: a schedule depends on its seed and length alone.
func TestSameSeedSameSchedule(t *testing.T) {
	for seed := range uint64(50) {
		require.Equal(t, draw(seed, time.Minute).String(), draw(seed, time.Minute).String())
	}
	require.NotEqual(t, draw(1, time.Minute).String(), draw(2, time.Minute).String())
}

// TestScheduleEndsInTime: all trouble is over at the end, and no two touch the
// same thing at once.
func TestScheduleEndsInTime(t *testing.T) {
	for seed := range uint64(50) {
		busy := map[string]time.Duration{}
		for _, s := range draw(seed, 30*time.Second) {
			require.LessOrEqual(t, s.until, 30*time.Second)
			for _, c := range s.claims() {
				require.LessOrEqual(t, busy[c], s.at)
				busy[c] = s.until
			}
		}
	}
}

// TestShapesCompile: every shape of the topology is a valid one.
func TestShapesCompile(t *testing.T) {
	hashes := map[string]bool{}
	for n := range 64 {
		sh := shape{moved: n&1 > 0, labelled: n&2 > 0, denied: n&4 > 0, noLeaf: n&8 > 0, route: n&16 > 0, noHub: n&32 > 0}
		m, err := topology.Parse("topology.yaml", []byte(sh.yaml()))
		require.NoError(t, err, sh.yaml())
		hashes[m.Hash] = true
	}
	require.Len(t, hashes, 64)
}
