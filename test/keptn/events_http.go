package keptn

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// An eventPage is a page of open events.
type eventPage struct {
	Events      []Event `json:"events"`
	NextPageKey string  `json:"nextPageKey"`
	TotalCount  int     `json:"totalCount,omitempty"`
}

// onTriggered serves the open .triggered events of exactly one type. Pages are
// offsets into a list that lives, so they may skip and repeat.
func (s *Store) onTriggered(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, offset := 20, 0
	var bad error
	for key, v := range map[string]*int{"pageSize": &size, "nextPageKey": &offset} {
		if text := q.Get(key); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				bad = err
				continue
			}
			*v = n
		}
	}
	if p := q.Get("project"); p != "" && s.project(p) == nil {
		refuse(w, http.StatusNotFound, "project not found")
		return
	}
	found := page(s.triggered(r.PathValue("type"), q.Get("project"), q.Get("stage"), q.Get("service"), q.Get("eventID")), offset, size)
	if bad != nil { // the original does not stop there
		refuse(w, http.StatusBadRequest, bad.Error())
		_, _ = w.Write(encode(found)) // the client has gone
		return
	}
	answer(w, http.StatusOK, found)
}

// triggered returns the open events that a query is about: project by project,
// the newest first, without those that are not due.
func (s *Store) triggered(typ, project, stage, service, id string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string][]Event{}
	is := func(want, got string) bool { return want == "" || want == got }
	for _, e := range s.open {
		d, err := e.Of()
		if err == nil && e.TypeName() == typ && is(project, d.Project) && is(stage, d.Stage) && is(service, d.Service) &&
			is(id, e.ID) && !e.Time.After(time.Now()) {
			found[d.Project] = append(found[d.Project], e)
		}
	}
	out := []Event{}
	for _, p := range s.projects {
		slices.SortStableFunc(found[p.Name], func(a, b Event) int { return b.Time.Compare(a.Time) })
		out = append(out, found[p.Name]...)
	}
	return out
}

// page cuts a page out of all.
func page(all []Event, offset, size int) eventPage {
	from := min(max(offset, 0), len(all))
	to := min(from+max(size, 0), len(all))
	p := eventPage{Events: append([]Event{}, all[from:to]...), NextPageKey: "0", TotalCount: len(all)}
	if to < len(all) && size > 0 {
		p.NextPageKey = strconv.Itoa(to)
	}
	return p
}

// A logBody is a list of log entries on the wire.
type logBody struct {
	Logs        []LogEntry `json:"logs"`
	NextPageKey int        `json:"nextPageKey,omitempty"`
	TotalCount  int        `json:"totalCount,omitempty"`
}

func (s *Store) onLog(w http.ResponseWriter, r *http.Request) {
	var in logBody
	if !read(w, r, &in) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range in.Logs {
		if l.Time.IsZero() {
			l.Time = time.Now().UTC()
		}
		s.logs = append(s.logs, l)
	}
	answer(w, http.StatusOK, struct{}{})
}

func (s *Store) onLogs(w http.ResponseWriter, r *http.Request) {
	out := []LogEntry{}
	for _, l := range s.Logs() {
		if id := r.URL.Query().Get("integrationId"); id == "" || id == l.IntegrationID {
			out = append(out, l)
		}
	}
	answer(w, http.StatusOK, logBody{Logs: out, TotalCount: len(out)})
}

func (s *Store) onForget(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = nil
	answer(w, http.StatusOK, struct{}{})
}
