package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A news is what a page is told: fragments of HTML that are different now, by
// the id of the element that they fill, and what of it is worth saying.
type news struct {
	At   time.Time         `json:"at"`
	HTML map[string]string `json:"html,omitempty"`
	Say  string            `json:"say,omitempty"`
}

// writeLimit is how long a viewer may take to read what it is told.
const writeLimit = 10 * time.Second

var errNoFragments = errors.New("this page does not change")

// live tells a page what changes, as server-sent events, until the viewer goes
// or the console stops.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	stopped := c.running()
	if stopped == nil {
		http.Error(w, errNoLook.Error(), http.StatusServiceUnavailable)
		return
	}
	select {
	case c.viewers <- struct{}{}:
		defer func() { <-c.viewers }()
	default:
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many viewers; the page shows what it showed when it was loaded", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	s := stream{c: c, w: w, out: http.NewResponseController(w), r: r, had: map[string]string{}}
	_ = s.out.SetReadDeadline(time.Time{}) // then it would end with the server's own
	if s.write("retry: 5000\n\n") != nil {
		return
	}
	for {
		is, next := c.watch.want()
		if is != nil && is.n != s.n && s.tell(is) != nil {
			return
		}
		select {
		case <-stopped:
			return
		case <-r.Context().Done():
			return
		case <-next:
		case <-time.After(lookFor / 3): // so that somebody still looks
		}
	}
}

// A stream is one viewer.
type stream struct {
	c      *Console
	w      http.ResponseWriter
	out    *http.ResponseController
	r      *http.Request
	n      uint64            // of the look that it was told of
	had    map[string]string // fragments that it has
	states map[string]string // of stamps, at that look
}

func (s *stream) tell(is *look) error {
	ctx, cancel := context.WithTimeout(s.r.Context(), pageLimit)
	defer cancel()
	all, err := s.c.fragments(s.r.WithContext(ctx), is)
	if err != nil {
		return err
	}
	n := news{At: is.at.UTC(), HTML: map[string]string{}}
	if s.states == nil && s.r.URL.Query().Get("look") == is.name() {
		s.had = all // the page was made of it
	}
	for id, html := range all {
		if s.had[id] != html {
			n.HTML[id] = html
		}
	}
	now := map[string]string{}
	for i := range is.fed.Stamps {
		now[is.fed.Stamps[i].Stamp] = is.fed.Stamps[i].state()
	}
	n.Say = changes(is, s.states, now)
	s.n, s.had, s.states = is.n, all, now
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it is escaped as HTML, and nothing else reads it
	if err := enc.Encode(n); err != nil {
		return fmt.Errorf("write news: %w", err)
	}
	return s.write("data: " + b.String() + "\n") // one line, which JSON ends
}

func (s *stream) write(text string) error {
	_ = s.out.SetWriteDeadline(time.Now().Add(writeLimit)) // a test's recorder has none
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.out.Flush()
}

// maxSaid bounds the changes that are said one by one.
const maxSaid = 4

// changes says which stamps are not as they were.
func changes(is *look, was, now map[string]string) string {
	if was == nil {
		return ""
	}
	words := map[string]string{
		stateUp: "is up", stateTrouble: "has something to look at", stateDown: "is down", stateUnknown: "is unknown",
	}
	var said []string
	more := 0
	for _, st := range is.fed.Stamps {
		if was[st.Stamp] == now[st.Stamp] {
			continue
		}
		if len(said) == maxSaid {
			more++
			continue
		}
		said = append(said, st.Stamp+" "+words[now[st.Stamp]])
	}
	if more > 0 {
		said = append(said, plural(more, "more change", "more changes"))
	}
	return strings.Join(said, "; ")
}

// fragments makes the parts of a page that change.
func (c *Console) fragments(r *http.Request, is *look) (map[string]string, error) {
	q := r.URL.Query()
	switch q.Get("page") {
	case "map":
		return c.cache.get(is.n, func() (map[string]string, error) { return c.mapFragments(r.Context(), is) })
	case "stamp":
		d := c.stampData(r, is, q.Get("name"))
		if d == nil {
			return nil, errNoStamp
		}
		return c.fragment(r.Context(), "stamp-live", d)
	case "rates":
		return c.fragment(r.Context(), "rates-live", c.ratesData())
	}
	return nil, errNoFragments
}

func (c *Console) fragment(ctx context.Context, name string, data any) (map[string]string, error) {
	b, err := c.render(ctx, name, data)
	return map[string]string{name: string(b)}, err
}

func (c *Console) mapFragments(ctx context.Context, is *look) (map[string]string, error) {
	d := c.mapData(is, "")
	out := map[string]string{}
	for _, name := range []string{"map-summary", "map-troubles", "map-picture", "map-links"} {
		b, err := c.render(ctx, name, d)
		if err != nil {
			return nil, err
		}
		out[name] = string(b)
	}
	for _, row := range d.Grid.Rows {
		for _, at := range row.Cells {
			for _, one := range at.Stamps {
				b, err := c.render(ctx, "cell", one)
				if err != nil {
					return nil, err
				}
				out["stamp-"+one.Name] = string(b)
			}
		}
	}
	return out, nil
}

// A fragmentCache has the fragments of the map of one look, which are the same
// for all who look at it.
type fragmentCache struct {
	mu  sync.Mutex
	n   uint64
	all map[string]string
}

func (f *fragmentCache) get(n uint64, make func() (map[string]string, error)) (map[string]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all != nil && f.n == n {
		return f.all, nil
	}
	all, err := make()
	if err != nil {
		return nil, err
	}
	f.n, f.all = n, all
	return all, nil
}
