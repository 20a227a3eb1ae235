package outbox

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// parcelItem is an item of an order, with a body of size bytes.
func parcelItem(seq uint64, order string, size int) *item {
	return &item{seq: seq, order: order, done: func() {}, Copy: bridge.Copy{
		Key: bridge.KeyOf(fmt.Sprint(seq), "t", "s"), Hop: seq, Subject: "sh.keptn.event.t.triggered", Body: make([]byte, size),
	}}
}

func offerItem(seq uint64, order string, attempt int) *item {
	it := parcelItem(hopNumber(seq, attempt), order, 10)
	it.Hop, it.Attempt = seq, attempt
	return it
}

// A wire takes note of what a flight sends.
type wire struct {
	sent []*parcel
	err  error
}

func (w *wire) send(p *parcel) error {
	w.sent = append(w.sent, p)
	return w.err
}

// seqs returns the numbers of the items of each parcel that was sent.
func (w *wire) seqs() [][]uint64 {
	out := [][]uint64{}
	for _, p := range w.sent {
		out = append(out, seqsOf(p.items))
	}
	return out
}

func seqsOf(items []*item) []uint64 {
	out := []uint64{}
	for _, it := range items {
		out = append(out, it.seq)
	}
	return out
}

func addAll(t *testing.T, f *flight, items ...*item) {
	t.Helper()
	for _, it := range items {
		require.NoError(t, f.add(it))
	}
}

func TestFlightPacksWhatIsAddedBeforeAFlush(t *testing.T) {
	t.Parallel()
	var w wire
	f := newFlight(4, w.send)
	addAll(t, f, parcelItem(1, "a", 9), parcelItem(2, "a", 9), parcelItem(3, "b", 9))
	require.Empty(t, w.sent, "others may follow")
	require.NoError(t, f.flush())
	require.NoError(t, f.flush(), "there is nothing left")
	require.Equal(t, [][]uint64{{1, 2, 3}}, w.seqs(), "of one order several may be in one parcel")
	addAll(t, f, parcelItem(4, "a", 9), parcelItem(5, "a", 9), parcelItem(6, "c", 9))
	require.NoError(t, f.flush())
	require.Equal(t, [][]uint64{{1, 2, 3}, {6}}, w.seqs(), "never two parcels of one order")
	_, err := f.settle(w.sent[0].n)
	require.NoError(t, err)
	require.NoError(t, f.flush())
	require.Equal(t, [][]uint64{{1, 2, 3}, {6}, {4, 5}}, w.seqs())
	addAll(t, f, parcelItem(7, "d", 9), parcelItem(8, "e", 9), parcelItem(9, "f", 9), parcelItem(10, "g", 9))
	require.Equal(t, []uint64{7, 8, 9, 10}, w.seqs()[3], "a full one is sent at once")
}

func TestFlightSendsOneByOne(t *testing.T) {
	t.Parallel()
	var w wire
	f := newFlight(1, w.send)
	addAll(t, f, parcelItem(1, "a", 9), parcelItem(2, "a", 9), parcelItem(3, "b", 9))
	require.Equal(t, [][]uint64{{1}, {3}}, w.seqs(), "the target reads no packs")
}

func TestOffersTravelAlone(t *testing.T) {
	t.Parallel()
	var w wire
	f := newFlight(64, w.send)
	addAll(t, f, parcelItem(1, "a", 9), offerItem(2, "b", 1), parcelItem(3, "c", 9), offerItem(4, "c", 2))
	require.Equal(t, [][]uint64{{1}, {hopNumber(2, 1)}}, w.seqs())
	require.NoError(t, f.flush())
	require.Equal(t, []uint64{3}, w.seqs()[2], "the offer is of the same order, and waits")
	_, err := f.settle(3)
	require.NoError(t, err)
	require.Equal(t, []uint64{hopNumber(4, 2)}, w.seqs()[3])
}

func TestPacksAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	var w wire
	f := newFlight(64, w.send)
	const big = bridge.MaxPackBytes * 2 / 5
	addAll(t, f, parcelItem(1, "a", big), parcelItem(2, "a", big), parcelItem(3, "a", big), parcelItem(4, "b", big), parcelItem(5, "c", 2*bridge.MaxPackBytes), parcelItem(6, "d", 9))
	require.NoError(t, f.flush())
	require.Equal(t, [][]uint64{{1, 2}, {4}, {5}, {6}}, w.seqs(), "one that is too long by itself is sent all the same")
	for _, p := range w.sent {
		m := p.message("me", "to")
		require.True(t, len(p.items) == 1 || len(m.Data) <= bridge.MaxPackBytes)
		require.LessOrEqual(t, len(m.Data), max(p.bytes, len(p.items[0].Body)))
	}
}

// TestNumbersOfParcels: an answer to one parcel never counts for another that
// holds more, whatever it begins with.
func TestNumbersOfParcels(t *testing.T) {
	t.Parallel()
	items := []*item{parcelItem(5, "a", 9), parcelItem(6, "a", 9), parcelItem(7, "a", 9)}
	seen := map[uint64]bool{}
	for _, p := range []*parcel{{items: items[:1]}, {items: items[:2]}, {items: items}, {items: items[1:]}, {items: []*item{items[0], items[2]}}} {
		require.False(t, seen[p.number()])
		seen[p.number()] = true
		require.Equal(t, len(p.items) > 1, p.number()&packed != 0)
	}
	require.Equal(t, (&parcel{items: items}).number(), (&parcel{items: slices.Clone(items)}).number(), "the same pack has the same")
	require.Zero(t, hopNumber(1<<40, 1000)&packed)
}

// TestFlightKeepsWhatCannotBeSent: an item stays with the flight, whichever send
// fails, and is in rest once.
func TestFlightKeepsWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	failed := errors.New("no connection")
	for most := range 4 {
		var w wire
		f := newFlight(most+1, w.send)
		addAll(t, f, parcelItem(1, "a", 9))
		require.NoError(t, f.flush())
		w.err = failed
		var errs []error
		for seq, order := range []string{"", "", "a", "b", "b", "a", "c"} {
			if order != "" {
				errs = append(errs, f.add(parcelItem(uint64(seq), order, 9))) //nolint:gosec // small
			}
		}
		errs = append(errs, f.flush())
		require.ErrorIs(t, errors.Join(errs...), failed)
		_, err := f.settle(1)
		require.ErrorIs(t, errors.Join(err, f.flush()), failed)
		require.Equal(t, []uint64{2, 3, 4, 5, 6}, seqsOf(f.rest()))
	}
}

// TestFlight: whatever is added and settled in whatever order, each item is sent
// once, in the order of its kind, and what is left is all that is not settled.
func TestFlight(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a seed that can be repeated
		newFlightTrial(t, r).run(t)
	}
}

type flightTrial struct {
	r     *rand.Rand
	f     *flight
	fly   map[uint64]*parcel
	added map[string][]uint64 // by order
	next  map[string]int      // how many of an order were sent
	all   []uint64            // as they were added
	left  map[uint64]bool     // not settled
	done  map[uint64]int
	fails bool
}

func newFlightTrial(t *testing.T, r *rand.Rand) *flightTrial {
	x := &flightTrial{r: r, all: []uint64{}, fly: map[uint64]*parcel{}, added: map[string][]uint64{}, next: map[string]int{}, left: map[uint64]bool{}, done: map[uint64]int{}}
	x.f = newFlight(1+r.IntN(5), func(p *parcel) error {
		busy := map[string]bool{}
		for _, other := range x.fly {
			for _, it := range other.items {
				busy[it.order] = true
			}
		}
		for _, it := range p.items {
			require.False(t, busy[it.order], "two parcels of one order")
			require.Equal(t, x.added[it.order][x.next[it.order]], it.seq)
			x.next[it.order]++
			require.True(t, it.Attempt == 0 || len(p.items) == 1)
		}
		require.LessOrEqual(t, len(p.items), x.f.most)
		require.Nil(t, x.fly[p.n])
		x.fly[p.n] = p
		if x.fails && r.IntN(10) == 0 {
			return errors.New("not sent")
		}
		return nil
	})
	return x
}

func (x *flightTrial) run(t *testing.T) {
	t.Helper()
	x.fails = x.r.IntN(2) == 0
	var err error
	for seq := uint64(1); seq < 200 && err == nil; {
		switch x.r.IntN(4) {
		case 0, 1:
			it := parcelItem(seq, fmt.Sprint("o", x.r.IntN(6)), x.r.IntN(3)*bridge.MaxPackBytes/6)
			if x.r.IntN(10) == 0 {
				it = offerItem(seq, it.order, 1)
			}
			it.done = func() { x.done[it.seq]++ }
			x.added[it.order] = append(x.added[it.order], it.seq)
			x.left[it.seq], x.all = true, append(x.all, it.seq)
			err = x.f.add(it)
			seq++
		case 2:
			err = x.f.flush()
		case 3:
			all := slices.Sorted(maps.Keys(x.fly))
			if len(all) == 0 {
				continue
			}
			err = x.settle(t, all[x.r.IntN(len(all))])
		}
	}
	for err == nil && x.f.n > 0 && x.r.IntN(50) > 0 {
		if err = x.f.flush(); err == nil && len(x.fly) > 0 {
			err = x.settle(t, slices.Sorted(maps.Keys(x.fly))[0])
		}
	}
	require.Equal(t, len(x.left), x.f.n)
	want := slices.DeleteFunc(x.all, func(seq uint64) bool { return !x.left[seq] })
	require.Equal(t, want, seqsOf(x.f.rest()), "as they were added, also offers")
	for seq, n := range x.done {
		require.True(t, n == 1 && !x.left[seq])
	}
}

func (x *flightTrial) settle(t *testing.T, n uint64) error {
	t.Helper()
	p := x.fly[n]
	delete(x.fly, n)
	for _, it := range p.items {
		delete(x.left, it.seq)
	}
	got, err := x.f.settle(n)
	require.Same(t, p, got)
	return err
}

// TestParcelsDoNotChaseEachOther: what comes by itself goes at once; what comes right
// behind a parcel waits for others for a moment, and what has others behind it as well.
func TestParcelsDoNotChaseEachOther(t *testing.T) {
	t.Parallel()
	f := newFlight(bridge.MaxPack, func(*parcel) error { return nil })
	require.NoError(t, f.add(parcelItem(1, "a", 1)))
	require.Negative(t, f.wait(false))
	require.Equal(t, packWait, f.wait(true))
	require.NoError(t, f.flush())
	require.NoError(t, f.add(parcelItem(2, "b", 1)))
	f.flushed = time.Now().Add(time.Minute) // as if it were now, for as long as this takes
	require.Positive(t, f.wait(false))
	f.flushed = time.Now().Add(-packWait)
	require.LessOrEqual(t, f.wait(false), time.Duration(0))
}
