package demo

import "slices"

// A tally counts the answers to one task as shipyard-controller does: by
// number alone, without looking at who sent them or whether it has seen them
// before. That is why a single duplicate can end a task early or never.
type tally struct {
	started, finished int
	results           []verdict
}

// A verdict is how one plane ended its task.
type verdict struct{ result, status string }

// start counts a .started event and reports whether the task is complete.
func (t *tally) start() bool {
	t.started++
	return t.complete()
}

// finish counts a .finished event and reports whether the task is complete.
func (t *tally) finish(v verdict) bool {
	t.finished++
	t.results = append(t.results, v)
	return t.complete()
}

// complete is Keptn's rule, evaluated after every answer.
func (t *tally) complete() bool { return t.finished == t.started && t.started > 0 }

// verdict combines the verdicts of all planes: the worst result, the worst
// status.
func (t *tally) verdict() verdict {
	statuses := []string{"succeeded", "unknown", "aborted", "errored"}
	worst, result := 0, "pass"
	for _, v := range t.results {
		rank := slices.Index(statuses, v.status)
		if rank < 0 {
			rank = 1
		}
		worst = max(worst, rank)
		switch {
		case v.result != "pass" && v.result != "warning":
			result = "fail"
		case v.result == "warning" && result == "pass":
			result = "warning"
		}
	}
	if statuses[worst] == "unknown" {
		result = "fail"
	}
	return verdict{result: result, status: statuses[worst]}
}
