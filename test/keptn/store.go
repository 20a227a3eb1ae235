package keptn

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // what git has for ids
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// A Project is what a shipyard file says, as far as it matters here: one
// sequence, in one stage after the other.
type Project struct {
	Name     string
	Sequence string // "" is delivery
	Stages   []Stage
}

// A Stage runs its tasks in order, once the stage before it has not failed.
type Stage struct {
	Name  string
	Tasks []string
}

// A Store is the database of a control plane: what outlives a restart of its
// programs. It is safe for concurrent use.
type Store struct {
	clock    Clock
	projects []Project
	uniform  uniform

	mu         sync.Mutex // guards the following fields
	executions []*execution
	open       []Event          // the .triggered that nothing has closed, oldest first
	late       []Event          // answers for which no open task was found
	heard      map[string]int   // events in mongodb-datastore by triggeredid
	stored     []Event          // in mongodb-datastore
	logs       []LogEntry       // of integrations
	dropped    map[string]error // what shipyard-controller took and threw away, by id
}

// A LogEntry is what an integration reports.
type LogEntry struct {
	IntegrationID string    `json:"integrationid"`
	Message       string    `json:"message"`
	Time          time.Time `json:"time"`
	Context       string    `json:"shkeptncontext"`
	Task          string    `json:"task"`
	TriggeredID   string    `json:"triggeredid"`
	Commit        string    `json:"gitcommitid"`
}

// NewStore returns an empty database that knows projects. Integrations that are
// not seen for 48 hours of clock are forgotten.
func NewStore(clock Clock, projects ...Project) *Store {
	s := &Store{
		clock: clock, projects: projects, heard: map[string]int{}, dropped: map[string]error{},
		uniform: uniform{ttl: clock.of(48 * time.Hour), now: time.Now},
	}
	for i := range s.projects {
		s.projects[i].Sequence = cmp.Or(s.projects[i].Sequence, "delivery")
	}
	return s
}

// project returns a project, or nil.
func (s *Store) project(name string) *Project {
	i := slices.IndexFunc(s.projects, func(p Project) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &s.projects[i]
}

// stage returns the place of a stage, or -1.
func (p *Project) stage(name string) int {
	return slices.IndexFunc(p.Stages, func(s Stage) bool { return s.Name == name })
}

// Integrations returns what is registered, as GET /uniform/registration does.
func (s *Store) Integrations() []Integration {
	return s.uniform.list(func(Integration) bool { return true })
}

// Open returns the .triggered events of a type that are open.
func (s *Store) Open(typ string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Event
	for _, e := range s.open {
		if e.TypeName() == typ {
			out = append(out, e)
		}
	}
	return out
}

// Late returns the answers that found no open task.
func (s *Store) Late() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.late)
}

// Stored returns what mongodb-datastore has.
func (s *Store) Stored() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stored)
}

// Logs returns what integrations reported.
func (s *Store) Logs() []LogEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logs)
}

// Sequences returns what became of every sequence, in the order in which they
// were triggered.
func (s *Store) Sequences() []Sequence {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Sequence, 0, len(s.executions))
	for _, x := range s.executions {
		seq := x.Sequence
		seq.Tasks = nil
		for _, t := range x.Tasks {
			t.Started, t.Finished = slices.Clone(t.Started), slices.Clone(t.Finished)
			seq.Tasks = append(seq.Tasks, t)
		}
		out = append(out, seq)
	}
	return out
}

// close takes events off the list of open ones. mu is held.
func (s *Store) close(ids ...string) {
	s.open = slices.DeleteFunc(s.open, func(e Event) bool { return slices.Contains(ids, e.ID) })
}

// commit returns an id of a git commit for a sequence.
func commit(context string) string {
	sum := sha1.Sum([]byte(context)) //nolint:gosec // see import
	return hex.EncodeToString(sum[:])
}
