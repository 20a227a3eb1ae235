package poll

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A question is what a poll asks for. Equal questions have equal answers as long
// as nothing changes.
type question struct {
	plane, typ                  string
	project, stage, service, id string
	size                        int
	before                      uint64 // the next page: what was stored before; 0 is the first
}

// defaultSize is the size of a page for those that do not say (contract §4.4).
const defaultSize = 20

// maxWait is how long a poll is held at most: clients give up after 30 s.
const maxWait = 25 * time.Second

// serveOpen answers a poll. One that waits, by ?wait=20s or Prefer: wait=20, is
// answered when there is something, or something else than it knows by its ETag.
func (s *Server) serveOpen(w http.ResponseWriter, r *http.Request, plane, typ, query string) {
	q := question{plane: plane, typ: typ, size: defaultSize}
	var wait time.Duration
	if query != "" {
		var err error
		if wait, err = q.read(query); err != nil {
			refuse(w, http.StatusBadRequest, http.StatusBadRequest, err.Error())
			return
		}
	}
	if q.project != "" && s.cfg.View().ControlOf(q.project) == nil {
		refuse(w, http.StatusNotFound, http.StatusNotFound, "project not found")
		return
	}
	wait = min(max(wait, preferred(r.Header)), maxWait)
	known := strings.TrimPrefix(r.Header.Get("If-None-Match"), "W/")
	until := time.Now().Add(wait)
	for {
		now := time.Now()
		version := s.index.now()
		p := s.page(q, now)
		same := known != "" && known == p.tag
		if news := p.n > 0 && known == "" || known != "" && !same; wait <= 0 || news || !now.Before(until) {
			s.reply(w, p, same)
			return
		}
		if !s.sleep(r, version, until, p.until) {
			return // the client has gone
		}
	}
}

// sleep waits for a change, but not longer than until, or than a page is as it is.
func (s *Server) sleep(r *http.Request, version uint64, until, changes time.Time) bool {
	if !changes.IsZero() && changes.Before(until) {
		until = changes
	}
	t := time.NewTimer(min(time.Until(until), lookAgain))
	defer t.Stop()
	select {
	case <-s.index.hear(version):
	case <-t.C:
	case <-r.Context().Done():
		return false
	}
	return true
}

// lookAgain is how often a poll that waits looks whether the subscriptions of its
// plane have changed.
const lookAgain = time.Second

func (s *Server) reply(w http.ResponseWriter, p *page, same bool) {
	h := w.Header()
	h.Set("ETag", p.tag)
	if same {
		s.metrics.unchanged.Inc()
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if p.n == 0 {
		s.metrics.empty.Inc()
	} else {
		s.metrics.pages.Inc()
	}
	h["Content-Type"] = jsonHeader
	h["Content-Length"] = []string{strconv.Itoa(len(p.body))}
	_, _ = w.Write(p.body) // the client has gone
}

var jsonHeader = []string{jsonType}

// read reads the query of a poll, and for how long it would wait.
func (q *question) read(query string) (wait time.Duration, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, err
	}
	q.project, q.stage, q.service, q.id = values.Get("project"), values.Get("stage"), values.Get("service"), values.Get("eventID")
	if text := values.Get("pageSize"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return 0, err
		}
		q.size = int(max(n, 0))
	}
	if text := values.Get("nextPageKey"); text != "" {
		if q.before, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, err
		}
	}
	if text := values.Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil {
			seconds, err2 := strconv.Atoi(text)
			if err2 != nil {
				return 0, err
			}
			wait = time.Duration(seconds) * time.Second
		}
	}
	return wait, nil
}

// preferred reads for how long a client would wait from Prefer: wait=<seconds>
// (RFC 7240).
func preferred(h http.Header) time.Duration {
	if len(h["Prefer"]) == 0 {
		return 0
	}
	for _, line := range h["Prefer"] {
		for p := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			if n, err := strconv.Atoi(strings.Trim(value, `" `)); err == nil && strings.EqualFold(strings.TrimSpace(name), "wait") {
				return time.Duration(min(n, int(maxWait/time.Second))) * time.Second
			}
		}
	}
	return 0
}
