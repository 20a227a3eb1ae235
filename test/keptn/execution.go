package keptn

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// States of a Sequence.
const (
	Queued   = "triggered" // waits for another of the same project, stage and service
	Running  = "started"
	Finished = "finished"
	TimedOut = "timedOut" // nobody answered its task
	Aborted  = "aborted"  // by hand
)

// Words of results and statuses.
const (
	pass, warning, fail                   = "pass", "warning", "fail"
	succeeded, errored, aborted, unknownS = "succeeded", "errored", "aborted", "unknown"
)

// A Sequence is one run of a sequence in one stage.
type Sequence struct {
	Project, Stage, Service string
	Name                    string
	Context                 string // shkeptncontext
	TriggeredID             string // id of its .triggered
	State                   string
	Result, Status          string
	Tasks                   []Task // those triggered so far
}

// String says in one line how far the sequence is.
func (s Sequence) String() string {
	out := fmt.Sprintf("%s in %s of %s: %s %s", s.Name, s.Stage, s.Service, s.State, s.Result)
	for _, t := range s.Tasks {
		out += fmt.Sprintf(", %s %d started %d finished", t.Name, len(t.Started), len(t.Finished))
	}
	return out
}

// A Task is a .triggered event and what was counted as its answers.
type Task struct {
	Name        string
	TriggeredID string
	Started     []Event
	Finished    []Event
	Complete    bool

	at time.Time // when it was triggered
}

// add counts an answer and reports whether the task is complete by it: when
// there are as many .finished as .started. Neither id nor source matter.
func (t *Task) add(e Event) bool {
	if kind(e.TypeName()) == kindStarted {
		t.Started = append(t.Started, e)
	} else {
		t.Finished = append(t.Finished, e)
	}
	t.Complete = len(t.Started) > 0 && len(t.Started) == len(t.Finished)
	return t.Complete
}

// verdict sums up the .finished of a task.
func (t *Task) verdict() (result, status string) {
	result, status = pass, succeeded
	rank := map[string]int{succeeded: 0, aborted: 2, errored: 3}
	worst := 0
	for _, e := range t.Finished {
		d, _ := e.Of() // was readable when it was counted
		switch {
		case d.Result == pass || result == fail:
		case d.Result == warning:
			result = warning
		default:
			result = fail
		}
		r, known := rank[d.Status]
		if !known {
			r, d.Status = 1, unknownS
		}
		if r > worst {
			worst, status = r, d.Status
		}
	}
	if status == unknownS {
		result = fail
	}
	return result, status
}

// An execution is a Sequence and what shipyard-controller needs to go on with
// it.
type execution struct {
	Sequence
	tasks []string       // of the stage
	data  map[string]any // of its .triggered and of every .finished so far
}

// current returns the task under way, or nil.
func (x *execution) current() *Task {
	if len(x.Tasks) == 0 || x.State != Running {
		return nil
	}
	return &x.Tasks[len(x.Tasks)-1]
}

// next returns the data of the next .triggered.
func (x *execution) next(name string) map[string]any {
	out := merge(x.data, map[string]any{"message": "", "result": x.Result, "status": x.Status})
	if _, ok := out[name]; !ok && name != "" {
		out[name] = map[string]any{}
	}
	return out
}

// learn adds the data of the .finished of a task.
func (x *execution) learn(t *Task) {
	for _, e := range t.Finished {
		var d map[string]any
		if json.Unmarshal(e.Data, &d) == nil {
			x.data = merge(x.data, d)
		}
	}
	x.Result, x.Status = t.verdict()
}

// failed reports whether the remaining tasks are skipped.
func (x *execution) failed() bool {
	return x.Result == fail || x.Status == errored || x.Status == aborted
}

// merge returns a with b laid over it: maps key by key, lists of b before those
// of a.
func merge(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range b {
		switch v := v.(type) {
		case map[string]any:
			if old, ok := out[k].(map[string]any); ok {
				out[k] = merge(old, v)
				continue
			}
		case []any:
			if old, ok := out[k].([]any); ok {
				out[k] = append(append([]any{}, v...), old...)
				continue
			}
		}
		out[k] = v
	}
	return out
}
