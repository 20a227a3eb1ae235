package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

const triggered = "sh.keptn.event.deployment.triggered"

// The parts of an event that differ from one to the next are digits of a fixed
// number at a fixed place, so that neither making nor reading one costs
// anything beside what is measured.
const (
	digits   = 12
	idMark   = "00000000-0000-4000-8000-"
	ctxMark  = "11111111-1111-4111-8111-"
	zeroTail = "000000000000"
)

// A maker makes events that differ in their id and context. It is not safe for
// concurrent use.
type maker struct {
	body    []byte
	id, ctx int // where the digits are
	n       *uint64
}

// newMaker returns a maker of events of about size bytes, as
// shipyard-controller publishes them: attributes in the order of the
// CloudEvents SDK, data with its keys sorted, so that what routing needs lies
// behind the big part. n counts the events of all makers that share it.
func newMaker(tb testing.TB, size int, n *uint64) *maker {
	tb.Helper()
	body := eventOf(tb, size)
	m := &maker{body: body, n: n}
	m.id = bytes.Index(body, []byte(idMark)) + len(idMark)
	m.ctx = bytes.Index(body, []byte(ctxMark)) + len(ctxMark)
	return m
}

func eventOf(tb testing.TB, size int) []byte {
	tb.Helper()
	values := map[string]any{"image": "registry.example.com/sockshop/carts:1.2.3"}
	var body []byte
	for i := 0; len(body) < size; i++ {
		if i > 0 {
			values[fmt.Sprintf("setting%04d", i)] = map[string]any{"name": "carts", "replicas": i, "enabled": i%2 == 0}
		}
		data, err := json.Marshal(map[string]any{
			"configurationChange": map[string]any{"values": values},
			"deployment":          map[string]any{"deploymentURIsLocal": []string{"http://carts.sockshop-dev"}, "deploymentstrategy": "direct"},
			"labels":              map[string]string{"build": "1.2.3", "owner": "team"},
			"message":             "", "project": "sockshop", "result": "pass", "service": "carts", "stage": "dev", "status": "succeeded",
		})
		require.NoError(tb, err)
		body = fmt.Appendf(nil, `{"specversion":"1.0","id":"%s%s","source":"shipyard-controller","type":%q,`+
			`"time":"2026-01-02T03:04:05.678901234Z","datacontenttype":"application/json","data":%s,`+
			`"gitcommitid":"","shkeptncontext":"%s%s","shkeptnspecversion":"0.2.4"}`,
			idMark, zeroTail, triggered, data, ctxMark, zeroTail)
	}
	return body
}

// next returns the next event and its number. The body is good until the next
// call.
func (m *maker) next() (body []byte, n uint64) {
	*m.n++
	s := fmt.Sprintf("%0*d", digits, *m.n)
	copy(m.body[m.id:], s)
	copy(m.body[m.ctx:], s)
	return m.body, *m.n
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
	var n uint64
	m := newMaker(t, 1024, &n)
	for i := range uint64(3) {
		body, n := m.next()
		require.Equal(t, i+1, n)
		got, err := numberOf(body)
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.True(t, json.Valid(body))
		require.InDelta(t, 1100, len(body), 100)
	}
}
