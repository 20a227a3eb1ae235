package bridge_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// jsonText writes a random value, with spaces and depths that a fuzzer seldom finds.
func jsonText(r *rand.Rand, b *strings.Builder, depth int) {
	space := func() {
		if r.IntN(6) == 0 {
			b.WriteString([]string{" ", "\n", "\t", "\r", "  "}[r.IntN(5)])
		}
	}
	str := func() {
		b.WriteString([]string{`""`, `"a"`, `"\u00e9"`, `"long enough for eight"`, `"12345678\""`, `"\\"`, "\"\xff\"", "\"\x7f\"", `"}]"`, `"é,:"`}[r.IntN(10)])
	}
	space()
	defer space()
	n := r.IntN(4)
	k := r.IntN(10)
	if depth > 0 && k < 6 {
		if depth > 20 {
			n = max(1, n-1)
		}
		object := k < 3
		b.WriteByte("[{"[map[bool]int{true: 1}[object]])
		at := r.IntN(max(n, 1))
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			if object {
				space()
				str()
				space()
				b.WriteByte(':')
			}
			d := r.IntN(min(depth, 3))
			if i == at {
				d = depth - 1
			}
			jsonText(r, b, d)
		}
		if n == 0 {
			space()
		}
		b.WriteByte("]}"[map[bool]int{true: 1}[object]])
		return
	}
	if k < 8 {
		str()
		return
	}
	b.WriteString([]string{"0", "-0", "1", "12", "-1.5e+3", "true", "false", "null", "1E5", "0.1", "10e-3", "9"}[r.IntN(12)])
}

// TestSkipAgrees: what is skipped is taken if and only if encoding/json takes it,
// whole, with one byte changed, and cut short.
func TestSkipAgrees(t *testing.T) {
	t.Parallel()
	const frame = `"n":[1,-2.5e+3,true,null,{"x":"\u00e9\n"}]`
	const bytes = "{}[],:\"\\ 019-+.eEtfnu\x00\x1f\n\xff/a"
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same each time
	check := func(v string) {
		b := body(frame, `"n":`+v)
		_, err := bridge.Parse(task, []byte(b))
		if json.Valid([]byte(b)) != (err == nil) && (err == nil || !strings.Contains(err.Error(), "nested too deep")) {
			require.Failf(t, "they differ", "%q: %v", v, err)
		}
		_, _ = bridge.Parse(task, []byte(b[:strings.Index(b, `"n":`)+4+r.IntN(len(v)+1)])) // must not panic
	}
	for range 60_000 {
		var b strings.Builder
		jsonText(r, &b, r.IntN(80))
		v := b.String()
		check(v)
		for range 4 {
			at := r.IntN(len(v))
			c := string(bytes[r.IntN(len(bytes))])
			switch r.IntN(3) {
			case 0:
				check(v[:at] + c + v[at+1:])
			case 1:
				check(v[:at] + c + v[at:])
			default:
				check(v[:at] + v[at+1:])
			}
		}
	}
}

// TestSkipAtAllDepths: what is opened is what is closed, also at the words' ends of
// the bits and at the bound.
func TestSkipAtAllDepths(t *testing.T) {
	t.Parallel()
	const frame = `"n":[1,-2.5e+3,true,null,{"x":"\u00e9\n"}]`
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // the same each time
	parse := func(v string) error {
		_, err := bridge.Parse(task, []byte(body(frame, `"n":`+v)))
		return err
	}
	accepted := 0
	for depth := 1; depth <= 1010; depth++ {
		for _, tail := range []string{"", `,[{"k":[]}]`, " , {\"k\" : 1 } "} {
			var open strings.Builder
			closers := make([]byte, depth)
			for i := range depth {
				if r.IntN(2) == 0 {
					open.WriteByte('[')
					closers[depth-1-i] = ']'
				} else {
					open.WriteString(`{"k":`)
					closers[depth-1-i] = '}'
				}
			}
			inner := "1"
			var v strings.Builder
			v.WriteString(open.String() + inner)
			for _, c := range closers {
				if tail != "" && c == ']' {
					v.WriteString(tail)
				} else if tail != "" {
					v.WriteString(`,"m":` + strings.TrimLeft(tail, " ,"))
				}
				v.WriteByte(c)
			}
			err := parse(v.String())
			if err != nil {
				require.ErrorContains(t, err, "nested too deep", depth)
				require.Greater(t, depth, 990)
				continue
			}
			accepted = max(accepted, depth)
			require.True(t, json.Valid([]byte(v.String())))
			flip := r.IntN(depth) // one closer that is wrong
			bad := make([]byte, depth)
			copy(bad, closers)
			bad[flip] = ']' + '}' - bad[flip]
			require.Error(t, parse(open.String()+inner+string(bad)), "%d %d", depth, flip)
			require.Error(t, parse(open.String()+inner+string(closers[1:])))
			require.Error(t, parse(open.String()+inner+string(closers)+string(closers[:1])))
		}
	}
	require.Greater(t, accepted, 990)
}
