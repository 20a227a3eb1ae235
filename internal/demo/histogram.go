package demo

import (
	"math"
	"time"
)

// The buckets of a histogram: bucket i ends at base·growth^i, from 10 µs to
// about 8 hours in steps of 5 %.
const (
	base    = 10 * time.Microsecond
	growth  = 1.05
	buckets = 450
)

// A histogram counts durations in buckets of 5 %. The zero value is empty. It
// is not safe for concurrent use.
type histogram struct {
	n      uint64
	max    time.Duration
	counts []uint32 // nil until the first
}

// add counts d.
func (h *histogram) add(d time.Duration) {
	if h.counts == nil {
		h.counts = make([]uint32, buckets)
	}
	i := 0
	if d > base {
		i = int(math.Ceil(math.Log(float64(d)/float64(base)) / math.Log(growth)))
	}
	h.counts[min(i, buckets-1)]++
	h.n++
	h.max = max(h.max, d)
}

// quantile returns the duration that the part q of all is not above, at most
// 5 % too high; 0 when empty.
func (h *histogram) quantile(q float64) time.Duration {
	want := uint64(math.Ceil(q * float64(h.n)))
	var sum uint64
	for i, c := range h.counts {
		if sum += uint64(c); sum >= want && c > 0 {
			return min(h.max, time.Duration(float64(base)*math.Pow(growth, float64(i))))
		}
	}
	return h.max
}
