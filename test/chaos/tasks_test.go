package chaos_test

import (
	"slices"
)

// tasks asks that every task was closed as Keptn closes it: not before every
// stamp that was asked has answered, and at all.
func (b *books) tasks() {
	for _, e := range b.s.j.events {
		if e.by != "shipyard-controller" {
			continue
		}
		for _, c := range b.s.controls {
			if k := c.tasks[e.ID]; c.stamp == e.stamp && k != nil {
				b.task(e, k)
			}
		}
	}
}

func (b *books) task(e *event, k *task) {
	var asked []string
	for _, r := range b.records[e.key] {
		if r.stream == "RW_IN" {
			asked = append(asked, r.stamp)
		}
	}
	if len(asked) == 0 {
		return // refused, and a dead letter
	}
	if len(asked) > 1 && !asksBarrier {
		return
	}
	switch {
	case b.answerLost(e):
	case !k.complete:
		b.find("OPEN %v: asked %v, started %v, finished %v: %s", e, asked, k.started, k.finished, b.trail(e))
	case len(k.late) > 0 && !b.expired(e):
		b.find("EARLY %v: asked %v, started %v, finished %v; late %v", e, asked, k.started, k.finished, k.late)
	default:
		for _, stamp := range asked {
			if !slices.Contains(k.finished, stamp) {
				b.find("UNHEARD %v: asked %v, finished %v", e, asked, k.finished)
			}
		}
	}
}

// answerLost reports whether an answer to a task became a dead letter, which
// account has judged.
func (b *books) answerLost(e *event) bool {
	for _, list := range b.records {
		for _, r := range list {
			if r.stream != "RW_DLQ" {
				continue
			}
			if h, _ := readHead(r.body); h.TriggeredID == e.ID {
				return true
			}
		}
	}
	return false
}

// expired reports whether the stage of a task has a deadline, after which
// answers may come late.
func (b *books) expired(e *event) bool { return e.Stage == "dev" || e.Stage == "soft" }
