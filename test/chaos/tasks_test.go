package chaos_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringway/ringway/bridge"
)

// tasks asks that every task was closed as Keptn closes it: not before every
// stamp that was asked has answered, and at all.
func (b *books) tasks() {
	dropped := b.dropped()
	for _, e := range b.s.j.events {
		if e.by != "shipyard-controller" {
			continue
		}
		for _, c := range b.s.controls {
			if k := c.tasks[e.ID]; c.stamp == e.stamp && k != nil {
				b.task(e, k, dropped[e.ID])
			}
		}
	}
}

// dropped returns why answers became dead letters, by the id of their task.
// account judges whether that was right.
func (b *books) dropped() map[string][]bridge.Reason {
	out := map[string][]bridge.Reason{}
	for _, list := range b.records {
		for _, r := range list {
			if h, _ := readHead(r.body); r.stream == "RW_DLQ" && h.TriggeredID != "" {
				out[h.TriggeredID] = append(out[h.TriggeredID], r.reason())
			}
		}
	}
	return out
}

func (b *books) task(e *event, k *task, dropped []bridge.Reason) {
	asked := b.asked(e)
	switch {
	case len(asked) == 0:
		return // refused, and a dead letter
	case len(asked) > 1 && !asksBarrier:
		return
	case b.lost[e.ID]:
		return // see asksCapture
	case !k.complete:
		b.find("OPEN: %v: asked %v, started %v, finished %v, dropped %v: %s; answers: %v", e, asked, k.started, k.finished, dropped, b.trail(e), b.answers(e))
	case len(k.late) > 0:
		b.find("EARLY: %v: asked %v, started %v, finished %v; late %v", e, asked, k.started, k.finished, k.late)
	case e.Stage == "soft": // goes on without who is late
	case isTurn(e) && !asksOneOfAny:
	default:
		for _, stamp := range asked {
			if !slices.Contains(k.finished, stamp) && !b.left(stamp) {
				b.find("UNHEARD: %v: asked %v, finished %v, dropped %v: %s", e, asked, k.finished, dropped, b.trail(e))
			}
		}
	}
}

// answers says where the answers to a task are.
func (b *books) answers(e *event) []string {
	var out []string
	for _, list := range b.records {
		for _, r := range list {
			if h, _ := readHead(r.body); h.TriggeredID == e.ID {
				out = append(out, fmt.Sprintf("%s of %s for %q: %v", h.kind(), h.Source, r.header.Get("Ringway-For"), r))
			}
		}
	}
	slices.Sort(out)
	return out
}

// asked returns the stamps that had a task; of a task for any one stamp the one
// that took it.
func (b *books) asked(e *event) []string {
	var out []string
	if isTurn(e) {
		for _, x := range b.sighted[e.key] {
			out = append(out, x.stamp)
		}
		return out
	}
	for _, r := range b.records[e.key] {
		if r.stream == "RW_IN" {
			out = append(out, r.stamp)
		}
	}
	return out
}

// speaker returns the stamp in whose name an answer was given, "?" if it does
// not say.
func speaker(h head) string {
	if stamp, ok := strings.CutPrefix(h.Source, "ringway/"); ok {
		return stamp
	}
	if part := strings.Fields(h.Data.Message); len(part) > 1 && part[0] == "stamp" {
		return part[1] // written for a plane that started and did not finish
	}
	if stamp := h.Data.Labels["stamp"]; stamp != "" {
		return stamp
	}
	return "?"
}
