package demo_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/demo"
)

// A book is a ledger with a control plane in hub and a plane in a and b each;
// deployment events are routed to a, or as to says.
type book struct {
	*demo.Ledger
	control, a, b *demo.Seat
	to            []string
	anyOne        bool
	now           time.Time
}

func newBook(remember int) *book {
	k := &book{to: []string{"a"}, now: time.Unix(1000, 0)}
	k.Ledger = demo.NewLedger(demo.LedgerConfig{
		Route: func(from string, _ []byte) ([]string, bool) {
			if from == "hub" {
				return k.to, k.anyOne
			}
			return []string{"hub"}, false
		},
		Now:      func() time.Time { return k.now },
		Remember: remember,
	})
	k.control = k.Join(demo.NewControlParty("hub"))
	k.a = k.Join(demo.NewPlaneParty("a", "deployer", []string{"deployment"}, nil))
	k.b = k.Join(demo.NewPlaneParty("b", "deployer", []string{"deployment"}, nil))
	return k
}

// event returns a deployment event of context c.
func event(id, state, to string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"type":"sh.keptn.event.deployment.%s","shkeptncontext":"c","triggeredid":%q}`, id, state, to)
}

func TestLedgerCountsOneDeliveryAPlane(t *testing.T) {
	k := newBook(0)
	q := event("q", "triggered", "")
	require.Equal(t, 1, k.control.Sent(q))
	require.Equal(t, demo.Local, k.control.Seen(q), "shipyard reads its own events")
	require.Equal(t, demo.Totals{Sent: 1, Lost: 1}, k.Totals())
	k.now = k.now.Add(5 * time.Millisecond)
	require.Equal(t, demo.First, k.a.Seen(q))

	s := event("s", "started", "q")
	k.a.Sent(s)
	require.Equal(t, demo.First, k.control.Seen(s))
	r := k.Report()
	require.Equal(t, demo.Totals{Sent: 2, Delivered: 2}, r.Totals)
	require.Equal(t, 5.0, r.DelayMS.Max)
	require.True(t, r.Kept())
	require.Len(t, r.Pairs, 2)
	require.Equal(t, demo.Pair{From: "a", To: "hub"}, r.Pairs[0].Pair)
	require.Len(t, k.Recent(), 2)
}

func TestLedgerSeesWhatGoesWrong(t *testing.T) {
	k := newBook(0)
	q := event("q", "triggered", "")
	k.control.Sent(q)
	require.Equal(t, demo.Misrouted, k.b.Seen(q))
	require.Equal(t, demo.First, k.a.Seen(q))
	require.Equal(t, demo.Copy, k.a.Seen(q))
	require.Equal(t, demo.Unknown, k.a.Seen(event("x", "triggered", "")))
	require.Equal(t, demo.Unknown, k.a.Seen([]byte("no event")))
	k.b.Sent(event("s", "started", "q")) // not asked: nobody must get it

	q2 := event("q2", "triggered", "")
	k.control.Sent(q2)
	k.a.Seen(append(q2, ' '))
	k.control.Sent(event("q3", "triggered", ""))

	r := k.Report()
	require.Equal(t, demo.Totals{Sent: 3, Delivered: 2, Lost: 1, Duplicated: 1}, r.Totals)
	require.Equal(t, 1, r.Misrouted)
	require.Equal(t, 2, r.Unknown)
	require.Equal(t, 1, r.Altered)
	require.False(t, r.Kept())
}

// TestLedgerKnowsStrangers: whoever points an integration of his own at the
// federation breaks no promise.
func TestLedgerKnowsStrangers(t *testing.T) {
	k := newBook(0)
	require.Equal(t, demo.Unknown, k.a.Seen([]byte(`{"id":"y","type":"sh.keptn.event.dev.delivery.triggered","source":"my-script"}`)))
	require.True(t, k.Report().Kept())
	require.Equal(t, 1, k.Report().Foreign)
	require.Equal(t, demo.Unknown, k.a.Seen([]byte(`{"id":"z","type":"sh.keptn.event.dev.delivery.triggered","source":"shipyard-controller"}`)))
	require.False(t, k.Report().Kept())
}

func TestLedgerSeesOvertaking(t *testing.T) {
	k := newBook(0)
	k.control.Sent(event("q", "triggered", ""))
	k.a.Seen(event("q", "triggered", ""))
	s, f := event("s", "started", "q"), event("f", "finished", "q")
	k.a.Sent(s)
	k.a.Sent(f)
	k.control.Seen(f)
	require.Zero(t, k.Report().Disordered)
	k.control.Seen(s)
	require.Equal(t, 1, k.Report().Disordered)
}

func TestLedgerWithdraws(t *testing.T) {
	k := newBook(0)
	k.control.Sent(event("q", "triggered", ""))
	k.control.Withdraw(event("q", "triggered", ""))
	require.Equal(t, demo.Totals{}, k.Totals())
	require.NoError(t, k.Wait(t.Context()))
}

func TestLedgerWaitsForDeliveriesAndWork(t *testing.T) {
	k := newBook(0)
	q := event("q", "triggered", "")
	k.control.Sent(q)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, k.Wait(cancelled), context.Canceled)
	done := k.a.Work()
	k.a.Seen(q)
	require.ErrorIs(t, k.Wait(cancelled), context.Canceled)
	done()
	require.NoError(t, k.Wait(cancelled))
}

func TestLedgerRemembersWhatIsMissing(t *testing.T) {
	k := newBook(10)
	k.control.Sent(event("missing", "triggered", ""))
	for i := range 100 {
		e := event(fmt.Sprint(i), "triggered", "")
		k.control.Sent(e)
		k.a.Seen(e)
	}
	require.Equal(t, demo.Unknown, k.a.Seen(event("0", "triggered", "")), "settled and forgotten")
	require.Equal(t, demo.Copy, k.a.Seen(event("99", "triggered", "")))
	require.Equal(t, demo.First, k.a.Seen(event("missing", "triggered", "")))
	require.Zero(t, k.Totals().Lost)
}

func TestLedgerMeasuresRecovery(t *testing.T) {
	k := newBook(0)
	before, during, other := event("1", "triggered", ""), event("2", "triggered", ""), event("3", "triggered", "")
	k.control.Sent(before)
	k.Cut("a")
	k.control.Sent(during)
	k.to = []string{"b"}
	k.control.Sent(other)
	k.b.Seen(other)
	k.now = k.now.Add(5 * time.Second)
	k.Heal("a")
	k.now = k.now.Add(300 * time.Millisecond)
	k.a.Seen(before)
	k.now = k.now.Add(100 * time.Millisecond)
	require.Equal(t, 1, k.Report().Cuts[0].Missing)
	k.a.Seen(during)
	first, drained := 300.0, 400.0
	r := k.Report()
	require.Equal(t, []demo.Outage{{
		Stamp: "a", CutMS: 5000, Waited: 2, LongestMS: 5400, FirstMS: &first, DrainedMS: &drained,
	}}, r.Cuts)
	require.Equal(t, 2, r.Waited)
}

// TestAnyOne: the event must reach one stamp, whichever, and no second one.
func TestAnyOne(t *testing.T) {
	k := newBook(0)
	k.to, k.anyOne = []string{"a", "b"}, true
	require.Equal(t, 1, k.control.Sent(event("1", "triggered", "")))
	require.Equal(t, demo.First, k.b.Seen(event("1", "triggered", "")))
	require.Equal(t, demo.Copy, k.a.Seen(event("1", "triggered", "")))
	totals := k.Totals()
	require.Equal(t, 1, totals.Sent)
	require.Equal(t, 1, totals.Delivered)
	require.Equal(t, 1, totals.Duplicated)
}
