package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// tasks has stages for every way to give a task to several stamps.
var tasks = strings.Replace(world, "stages:\n", `stages:
  - {name: both, ring: prod, startWithin: 1h}
  - {name: soon, ring: prod, startWithin: 500ms}
  - {name: strict, ring: prod, deadline: 2s, onDeadline: fail}
  - {name: lenient, ring: prod, deadline: 2s, onDeadline: ignore}
  - {name: one, ring: prod, deliver: any, startWithin: 1s}
  - {name: ordered, ring: prod, deliver: first, order: [wss, hub], startWithin: 1s}
`, 1)

// A worker is a service in a stamp that takes tasks and is told when to answer.
type worker struct {
	t     *testing.T
	nc    *nats.Conn
	sub   *nats.Subscription
	stamp topology.StampID
}

func newWorker(t *testing.T, f *fed.Fed, stamp topology.StampID) *worker {
	t.Helper()
	nc := f.Client(stamp)
	sub, err := nc.QueueSubscribeSync(triggered, "deployer")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return &worker{t: t, nc: nc, sub: sub, stamp: stamp}
}

// take waits for the task with an id.
func (p *worker) take(id string) {
	p.t.Helper()
	m, err := p.sub.NextMsg(fed.Patience)
	require.NoError(p.t, err, "stamp %s", p.stamp)
	require.Contains(p.t, string(m.Data), fmt.Sprintf(`"id":%q`, id))
}

// answer answers the task with an id, in the stage and context named alike.
func (p *worker) answer(typ, id, stage string) {
	p.t.Helper()
	require.NoError(p.t, p.nc.Publish(typ, answerOf(p.stamp, typ, id, stage)))
	require.NoError(p.t, p.nc.Flush())
}

func answerOf(stamp topology.StampID, typ, id, stage string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"%s-%s-%s","source":"deployer","type":%q,"time":"2026-01-01T00:00:00Z","triggeredid":%q,`+
		`"data":{"project":"sockshop","stage":%q,"service":"carts"},"shkeptncontext":"k-%s"}`, stamp, typ, id, typ, id, stage, id)
}

// keptnOf sees every answer that reaches the control plane, in order.
type keptnOf struct {
	t   *testing.T
	tap *fed.Tap
}

// next waits for an answer and returns it as "<state> <stamp>".
func (k keptnOf) next() string {
	k.t.Helper()
	var e struct {
		ID, Type, Source, TriggeredID string
		Data                          struct{ Status, Result, Message string }
	}
	require.NoError(k.t, json.Unmarshal(k.tap.Next().Data, &e))
	state := e.Type[strings.LastIndexByte(e.Type, '.')+1:]
	if s, ours := strings.CutPrefix(e.Source, "ringway/"); ours {
		return strings.TrimSpace(fmt.Sprintf("%s for %s %s", state, s, e.Data.Status))
	}
	return state + " " + e.ID[:strings.IndexByte(e.ID, '-')]
}

func newTasks(t *testing.T, options ...func(*gateway.Options)) (*fed.Fed, keptnOf) {
	t.Helper()
	f := fed.New(t, tasks, options...)
	return f, keptnOf{t, f.Tap("control", "sh.keptn.event.deployment.*", "")}
}

// ask publishes a task as shipyard-controller, which hears itself.
func ask(t *testing.T, f *fed.Fed, k keptnOf, id, stage string) {
	t.Helper()
	f.Publish("control", triggered, event(triggered, id, stage, "k-"+id))
	require.Contains(t, string(k.tap.Next().Data), fmt.Sprintf("%q", id))
}

// TestFinishedWaitsForEveryStart: Keptn would end the task at the first stamp
// that finishes before the others started (contract §4.6).
func TestFinishedWaitsForEveryStart(t *testing.T) {
	f, keptn := newTasks(t)
	hub, wss := newWorker(t, f, "hub"), newWorker(t, f, "wss")
	ask(t, f, keptn, "1", "both")
	hub.take("1")
	wss.take("1")
	hub.answer(started, "1", "both")
	hub.answer(finished, "1", "both")
	require.Equal(t, "started hub", keptn.next())
	wss.answer(started, "1", "both")
	require.Equal(t, "started wss", keptn.next())
	require.Equal(t, "finished hub", keptn.next())
	wss.answer(finished, "1", "both")
	require.Equal(t, "finished wss", keptn.next())
}

// TestBarrierSurvivesARestart: the control plane's gateway restarts while it
// holds an answer, and while the other stamp is cut off.
func TestBarrierSurvivesARestart(t *testing.T) {
	f, keptn := newTasks(t)
	hub, wss := newWorker(t, f, "hub"), newWorker(t, f, "wss")
	ask(t, f, keptn, "1", "both")
	hub.take("1")
	wss.take("1")
	f.Cut("wss")
	hub.answer(started, "1", "both")
	hub.answer(finished, "1", "both")
	require.Equal(t, "started hub", keptn.next())
	wss.answer(started, "1", "both")
	wss.answer(finished, "1", "both")
	f.Stop("control")
	f.Restart("control")
	keptn = keptnOf{t, f.Tap("control", "sh.keptn.event.deployment.*", "")}
	f.Heal("wss")
	require.Equal(t, "started wss", keptn.next())
	got := []string{keptn.next(), keptn.next()}
	require.ElementsMatch(t, []string{"finished hub", "finished wss"}, got)
}

func TestDeadlineAnswersForAStampThatIsCutOff(t *testing.T) {
	f, keptn := newTasks(t)
	hub, wss := newWorker(t, f, "hub"), newWorker(t, f, "wss")
	f.Cut("wss")
	f.Down("wss")
	ask(t, f, keptn, "1", "strict")
	hub.take("1")
	hub.answer(started, "1", "strict")
	hub.answer(finished, "1", "strict")
	require.Equal(t, "started hub", keptn.next())
	require.Equal(t, "started for wss", keptn.next())
	require.ElementsMatch(t, []string{"finished for wss errored", "finished hub"}, []string{keptn.next(), keptn.next()})
	f.Heal("wss") // it gets the task, and is too late
	wss.take("1")
	wss.answer(started, "1", "strict")
	requireLetter(t, f, "late")
	ask(t, f, keptn, "2", "both")
}

func TestDeadlineLeavesAStampOut(t *testing.T) {
	f, keptn := newTasks(t)
	hub := newWorker(t, f, "hub")
	f.Cut("wss")
	f.Down("wss")
	ask(t, f, keptn, "1", "lenient")
	hub.take("1")
	hub.answer(started, "1", "lenient")
	hub.answer(finished, "1", "lenient")
	require.Equal(t, "started hub", keptn.next())
	require.Equal(t, "finished hub", keptn.next())
}

// TestOnlyWhoWasAskedMayAnswer: another stamp, an unknown task, a second answer.
func TestOnlyWhoWasAskedMayAnswer(t *testing.T) {
	f, keptn := newTasks(t)
	tls, wss := newWorker(t, f, "tls"), newWorker(t, f, "wss")
	ask(t, f, keptn, "1", "far") // wss only
	wss.take("1")
	tls.answer(started, "1", "far")
	requireLetter(t, f, "not-asked")
	wss.answer(started, "1", "far")
	require.Equal(t, "started wss", keptn.next())
	again := strings.Replace(string(answerOf("wss", started, "1", "far")), `"id":"wss-`, `"id":"wss-again-`, 1)
	require.NoError(t, wss.nc.Publish(started, []byte(again)))
	requireLetter(t, f, "repeated")
	wss.answer(started, "never", "far")
	wss.answer(finished, "1", "far")
	require.Equal(t, "finished wss", keptn.next())
}

// requireLetter waits for a dead letter of the control plane's gateway with a
// reason.
func requireLetter(t *testing.T, f *fed.Fed, reason string) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(f.Stamp("control").Gateway().AdminURL() + "/events/dlq")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		return strings.Contains(string(body), `"`+reason+`"`)
	}, fed.Patience, 10*time.Millisecond, reason)
}

// TestStampWithoutAPlaneSaysSo: the others need not wait for it for ever.
func TestStampWithoutAPlaneSaysSo(t *testing.T) {
	f, keptn := newTasks(t)
	hub := newWorker(t, f, "hub")
	ask(t, f, keptn, "1", "soon")
	hub.take("1")
	hub.answer(started, "1", "soon")
	hub.answer(finished, "1", "soon")
	require.Equal(t, "started hub", keptn.next())
	require.Equal(t, "finished hub", keptn.next())
	require.Eventually(t, func() bool { return len(f.Status("wss").Waiting) == 0 }, fed.Patience, 5*time.Millisecond, "it is set aside there")
}

// TestAnyOneStamp: the nearest with a plane, and nobody else.
func TestAnyOneStamp(t *testing.T) {
	f, keptn := newTasks(t)
	wss := newWorker(t, f, "wss")
	ask(t, f, keptn, "1", "one") // hub is first, and has no plane
	wss.take("1")
	wss.answer(started, "1", "one")
	wss.answer(finished, "1", "one")
	require.Equal(t, "started wss", keptn.next())
	require.Equal(t, "finished wss", keptn.next())
	hub := newWorker(t, f, "hub")
	ask(t, f, keptn, "2", "one")
	hub.take("2")
	hub.answer(started, "2", "one")
	require.Equal(t, "started hub", keptn.next())
}

// TestTheNextIfNoneStarted: a plane that takes the task and does not start is
// passed over, and may not answer any more.
func TestTheNextIfNoneStarted(t *testing.T) {
	f, keptn := newTasks(t)
	hub, wss := newWorker(t, f, "hub"), newWorker(t, f, "wss")
	ask(t, f, keptn, "1", "ordered")
	wss.take("1")
	hub.take("1")
	wss.answer(started, "1", "ordered")
	requireLetter(t, f, "not-asked")
	hub.answer(started, "1", "ordered")
	require.Equal(t, "started hub", keptn.next())
}

// TestOfferToAStampThatWentAway: it is cut off after the offer; the next gets
// the task, and the first does not when it is back.
func TestOfferToAStampThatWentAway(t *testing.T) {
	f, keptn := newTasks(t)
	hub, wss := newWorker(t, f, "hub"), newWorker(t, f, "wss")
	f.Cut("wss")
	f.Down("wss")
	ask(t, f, keptn, "1", "ordered")
	hub.take("1")
	hub.answer(started, "1", "ordered")
	require.Equal(t, "started hub", keptn.next())
	f.Heal("wss")
	ask(t, f, keptn, "2", "far")
	wss.take("2") // and not 1
}

// TestNoPlaneAnywhere: the task waits for a plane, wherever it comes up.
func TestNoPlaneAnywhere(t *testing.T) {
	f, keptn := newTasks(t)
	ask(t, f, keptn, "1", "one")
	require.Eventually(t, func() bool {
		for _, task := range f.Status("control").Tasks {
			if task.Turn != nil && task.Turn.Round > 0 {
				return true
			}
		}
		return false
	}, fed.Patience, 10*time.Millisecond)
	wss := newWorker(t, f, "wss")
	wss.take("1")
	wss.answer(started, "1", "one")
	require.Equal(t, "started wss", keptn.next())
}
