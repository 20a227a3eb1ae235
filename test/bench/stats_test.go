package bench_test

import (
	"slices"
	"time"
)

// quantile returns the value that a share q of vs does not exceed; vs is
// sorted. It is 0 if there are none.
func quantile[T int | float64 | time.Duration](vs []T, q float64) T {
	if len(vs) == 0 {
		return 0
	}
	return vs[min(len(vs)-1, int(q*float64(len(vs))))]
}

// A spread is the median of some values, with the least and the greatest.
type spread struct{ mid, low, high float64 }

func spreadOf(vs []float64) spread {
	s := slices.Sorted(slices.Values(vs))
	if len(s) == 0 {
		return spread{}
	}
	mid := s[len(s)/2]
	if len(s)%2 == 0 {
		mid = (s[len(s)/2-1] + mid) / 2
	}
	return spread{mid, s[0], s[len(s)-1]}
}

// ratios divides the values of two measures turn by turn.
func ratios(of, by []float64) spread {
	out := make([]float64, 0, len(of))
	for i := range of {
		out = append(out, of[i]/by[i])
	}
	return spreadOf(out)
}
