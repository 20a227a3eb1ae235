package chaos_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A trouble is one thing that is done to the federation. It is begun once and
// ended once, after which all is as it was.
type trouble interface {
	fmt.Stringer
	// claims names what no other trouble may touch meanwhile.
	claims() []string
	begin(s *site)
	end(s *site)
}

// An operation is a kind of trouble.
type operation struct {
	weight   int           // how often it is drawn, against the others
	min, max time.Duration // how long it lasts
	draw     func(r *rand.Rand) trouble
}

// operations is every kind of trouble. Each is in a file op_*_test.go.
var operations = slices.Concat(linkOperations, processOperations, topologyOperations, planeOperations)

// A step is a trouble and its time.
type step struct {
	trouble
	at, until time.Duration // since the start
}

func (s step) line() string {
	return fmt.Sprintf("%6dms to %6dms  %s", s.at.Milliseconds(), s.until.Milliseconds(), s)
}

// A schedule is what happens to a federation.
type schedule []step

// pace is how often a trouble begins, in the mean.
const pace = 350 * time.Millisecond

// draw returns the schedule of a seed for a duration. It depends on its
// arguments alone.
func draw(seed uint64, length time.Duration) schedule {
	r := rand.New(rand.NewPCG(seed, 0x72696e67776179)) //nolint:gosec // meant to be repeated
	total := 0
	for _, o := range operations {
		total += o.weight
	}
	var out schedule
	busy := map[string]time.Duration{} // until when a claim is taken
	for at := 500 * time.Millisecond; at < length; at += time.Duration(r.ExpFloat64() * float64(pace)) {
		n := r.IntN(total)
		i := slices.IndexFunc(operations, func(o operation) bool { n -= o.weight; return n < 0 })
		o := operations[i]
		s := step{trouble: o.draw(r), at: at.Round(time.Millisecond)}
		s.until = min(s.at+o.min+time.Duration(r.Int64N(int64(o.max-o.min)+1)), length).Round(time.Millisecond)
		if slices.ContainsFunc(s.claims(), func(c string) bool { return busy[c] > s.at }) {
			continue
		}
		for _, c := range s.claims() {
			busy[c] = s.until
		}
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return out
}

func (s schedule) String() string {
	var b strings.Builder
	for _, st := range s {
		fmt.Fprintln(&b, st.line())
	}
	return b.String()
}
