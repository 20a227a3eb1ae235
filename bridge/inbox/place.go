package inbox

import (
	"cmp"
	"slices"
)

// A place says where an event is in RW_IN: the sequence of its message, and its
// index there, for a message may be a pack of several. Places are ordered as
// events arrived. In a place
//
//	sequence << 8 | index, and 0x80 for the last event of its message
//
// so that each event has its own, and it shows from a place alone whether another
// one of the same message follows.
type place = uint64

const (
	indexBits = 8
	lastBit   = 0x80
	indexMask = lastBit - 1
)

// placeOf returns the place of event i of the n in message seq.
func placeOf(seq uint64, i, n int) place {
	p := seq<<indexBits | uint64(i) //nolint:gosec // i < bridge.MaxPack
	if i == n-1 {
		p |= lastBit
	}
	return p
}

// seqOf returns the sequence of the message that holds the event at p.
func seqOf(p place) uint64 { return p >> indexBits }

// indexOf returns which event of its message is at p.
func indexOf(p place) int { return int(p & indexMask) } //nolint:gosec // 7 bits

// endOf is behind every event up to message seq.
func endOf(seq uint64) place { return seq<<indexBits | (1<<indexBits - 1) }

// span returns the numbers that the event at p takes, first and last: the last
// of a message takes all that its message does not use.
func span(p place) (first, last uint64) {
	if p&lastBit == 0 {
		return p, p
	}
	return p &^ lastBit, p | (1<<indexBits - 1)
}

// adjacent reports whether no event lies between those at p and q, p before q.
func adjacent(p, q place) bool {
	if p&lastBit != 0 {
		return seqOf(q) == seqOf(p)+1 && indexOf(q) == 0
	}
	return seqOf(q) == seqOf(p) && indexOf(q) == indexOf(p)+1
}

// ranges returns places as inclusive ranges in order, with events between them.
func ranges(places []place) [][2]place {
	slices.Sort(places)
	places = slices.Compact(places)
	var out [][2]place
	for _, p := range places {
		if n := len(out); n > 0 && adjacent(out[n-1][1], p) {
			out[n-1][1] = p
			continue
		}
		out = append(out, [2]place{p, p})
	}
	return out
}

// union returns what is in either of two lists of ranges, in order.
func union(a, b [][2]place) [][2]place {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b [2]place) int { return cmp.Compare(a[0], b[0]) })
	out := all[:1]
	for _, r := range all[1:] {
		if last := &out[len(out)-1]; r[0] <= last[1] || adjacent(last[1], r[0]) {
			last[1] = max(last[1], r[1])
			continue
		}
		out = append(out, r)
	}
	return out
}

// within reports whether p is in one of ranges, which are in order.
func within(ranges [][2]place, p place) bool {
	_, found := slices.BinarySearchFunc(ranges, p, func(r [2]place, p place) int {
		switch {
		case p < r[0]:
			return 1
		case p > r[1]:
			return -1
		}
		return 0
	})
	return found
}
