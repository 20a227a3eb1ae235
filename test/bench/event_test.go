package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

const triggered = "sh.keptn.event.deployment.triggered"

// Where the number of an event stands in its id and context: digits of a fixed
// number at a fixed place, so that neither making nor reading one costs anything
// beside what is measured.
const (
	digits   = 12
	idMark   = "00000000-0000-4000-8000-"
	ctxMark  = "11111111-1111-4111-8111-"
	zeroTail = "000000000000"
)

// bodies is how many events a maker has that differ in all of their values, as those
// of different services do: as many as one message between stamps may hold. What
// several events have in common is smaller on a link.
const bodies = bridge.MaxPack

// A maker makes events that differ in their id and context, which are as good as
// random, and from one to the next in all values. It is not safe for concurrent use.
type maker struct {
	events []made
	rand   *rand.Rand
	n      *uint64
}

type made struct {
	body    []byte
	id, ctx []byte // in body
}

// newMaker returns a maker of events of about size bytes, as
// shipyard-controller publishes them: attributes in the order of the
// CloudEvents SDK, data with its keys sorted, so that what routing needs lies
// behind the big part. n counts the events of all makers that share it.
func newMaker(tb testing.TB, size int, n *uint64) *maker { return newMakerOf(tb, size, n, eventOf) }

// A bodyOf makes one event of about a size.
type bodyOf func(tb testing.TB, size int, r *rand.Rand) []byte

func newMakerOf(tb testing.TB, size int, n *uint64, one bodyOf) *maker {
	tb.Helper()
	m := &maker{n: n, rand: rand.New(rand.NewPCG(1, uint64(size)))}
	for range bodies {
		body := one(tb, size, m.rand)
		m.events = append(m.events, made{body, after(body, idMark), after(body, ctxMark)})
	}
	return m
}

// after returns the part of body that is mark and the digits behind it.
func after(body []byte, mark string) []byte {
	at := bytes.Index(body, []byte(mark))
	return body[at : at+len(mark)+digits]
}

// word returns n letters of base 16.
func word(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%016x", r.Uint64())
	}
	return b.String()[:n]
}

// eventOf returns an event of about size bytes: the values of a chart, of which a
// third is words that do not repeat, as digests and names are.
func eventOf(tb testing.TB, size int, r *rand.Rand) []byte {
	tb.Helper()
	values := map[string]any{"image": "registry.example.com/sockshop/carts@sha256:" + word(r, 64)}
	body := eventWith(tb, r, values)
	for len(body) < size {
		for range 1 + (size-len(body))/100 {
			values[fmt.Sprintf("setting%04d", len(values))] = map[string]any{"name": "carts-" + word(r, 16), "replicas": r.IntN(10_000), "enabled": r.IntN(2) == 0}
		}
		body = eventWith(tb, r, values)
	}
	return body
}

// opaqueOf returns an event of about size bytes of which all but the frame is random:
// nothing makes that smaller by more than a quarter.
func opaqueOf(tb testing.TB, size int, r *rand.Rand) []byte {
	tb.Helper()
	b := make([]byte, max(8, (size-len(eventWith(tb, r, nil)))*3/4))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return eventWith(tb, r, map[string]any{"file": b}) // in base 64
}

func eventWith(tb testing.TB, r *rand.Rand, values map[string]any) []byte {
	tb.Helper()
	data, err := json.Marshal(map[string]any{
		"configurationChange": map[string]any{"values": values},
		"deployment":          map[string]any{"deploymentURIsLocal": []string{"http://carts-" + word(r, 24) + ".sockshop-dev"}, "deploymentstrategy": "direct"},
		"labels":              map[string]string{"build": "1.2." + strconv.Itoa(r.IntN(1000)), "owner": "team", "run": word(r, 32)},
		"message":             "", "project": "sockshop", "result": "pass", "service": "carts", "stage": "dev", "status": "succeeded",
	})
	require.NoError(tb, err)
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"%s%s","source":"shipyard-controller","type":%q,`+
		`"time":"2026-01-02T03:04:%02d.%09dZ","datacontenttype":"application/json","data":%s,`+
		`"gitcommitid":"%s","shkeptncontext":"%s%s","shkeptnspecversion":"0.2.4"}`,
		idMark, zeroTail, triggered, r.IntN(60), r.IntN(1e9), data, word(r, 40), ctxMark, zeroTail)
}

const hexDigits = "0123456789abcdef"

// next returns the next event and its number. The body is good until the next
// call.
func (m *maker) next() (body []byte, n uint64) {
	*m.n++
	e := m.events[*m.n%bodies]
	var number [digits]byte
	for i, rest := digits-1, *m.n; i >= 0; i, rest = i-1, rest/10 {
		number[i] = byte('0' + rest%10)
	}
	for _, at := range [][]byte{e.id, e.ctx} {
		bits := m.rand.Uint64()
		for _, i := range [...]int{0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 17} { // of a UUID: version and variant stay
			at[i], bits = hexDigits[bits&15], bits>>4
		}
		copy(at[len(at)-digits:], number[:])
	}
	return e.body, *m.n
}

// idAt is where the digits of the id are: the same in events of every size.
const idAt = len(`{"specversion":"1.0","id":"`) + len(idMark)

// numberOf returns the number of an event.
func numberOf(body []byte) (uint64, error) {
	if len(body) < idAt+digits {
		return 0, fmt.Errorf("not an event of a maker: %.60q", body)
	}
	return strconv.ParseUint(string(body[idAt:idAt+digits]), 10, 64)
}

func TestMakerMakesEventsThatDiffer(t *testing.T) {
	for name, one := range map[string]bodyOf{"values": eventOf, "opaque": opaqueOf} {
		var n uint64
		m := newMakerOf(t, 1024, &n, one)
		seen := map[string]bool{}
		for i := range uint64(200) {
			body, n := m.next()
			require.Equal(t, i+1, n)
			got, err := numberOf(body)
			require.NoError(t, err)
			require.Equal(t, n, got)
			require.InDelta(t, 1050, len(body), 120, name)
			var e struct{ ID, ShKeptnContext string }
			require.NoError(t, json.Unmarshal(body, &e))
			require.Len(t, e.ID, 36)
			require.False(t, seen[e.ID[:23]] || seen[e.ShKeptnContext[:23]], "ids are as good as random")
			seen[e.ID[:23]], seen[e.ShKeptnContext[:23]] = true, true
		}
	}
}

// TestMadeEventsCompressLessThanReal compares the events of a maker with as many bytes of
// those that were captured of Keptn's programs: what the benchmarks send must not be
// easier to make small. The captures repeat some events, and all have one context; here
// each is once, with ids of its own.
func TestMadeEventsCompressLessThanReal(t *testing.T) {
	captured := realEvents(t)
	limit := smaller(captured)
	require.Greater(t, limit, 1.5)
	for _, l := range loads() {
		var n uint64
		m := newMaker(t, l.size, &n)
		var all []byte
		for len(all) < bridge.MaxPackBytes {
			body, _ := m.next()
			all = append(all, body...)
		}
		t.Logf("%s: %.1f times smaller in S2, and %.1f times all that fits a message; events of Keptn's programs %.1f times",
			l.name, smaller(all[:len(captured)]), smaller(all), limit)
		require.Less(t, smaller(all[:len(captured)]), limit, l.name)
	}
}

func realEvents(t *testing.T) (out []byte) {
	t.Helper()
	files, err := filepath.Glob("../../../shared/fixtures/*/nats-messages.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{}
	for _, f := range files {
		lines, err := os.ReadFile(f)
		require.NoError(t, err)
		for line := range bytes.Lines(lines) {
			var m struct{ Data string }
			require.NoError(t, json.Unmarshal(line, &m))
			if !seen[m.Data] {
				out = append(out, id.ReplaceAllStringFunc(m.Data, func(string) string {
					return word(r, 8) + "-" + word(r, 4) + "-4" + word(r, 3) + "-8" + word(r, 3) + "-" + word(r, 12)
				})...)
			}
			seen[m.Data] = true
		}
	}
	return out
}

func smaller(b []byte) float64 { return float64(len(b)) / float64(len(s2.Encode(nil, b))) }
