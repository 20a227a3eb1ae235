package poll

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A page is the answer to a question. It is not changed.
type page struct {
	tag   string // ETag
	body  []byte
	n     int       // events on it
	until time.Time // it may be another from then on, though nothing was stored; zero is never

	version uint64        // of the index
	planes  []Integration // of the caller
	used    time.Time     // guarded by the cache
}

// page returns the page that q asks for, from the cache if it is still the same.
func (s *Server) page(q question, now time.Time) *page {
	pattern := strings.ContainsAny(q.typ, "*>")
	who := s.who.of(s.cfg.Planes, q.plane, now)
	version := s.index.versionOf(q.typ, pattern)
	p := s.cache.get(q, now)
	if p == nil || p.version != version || !slices.EqualFunc(p.planes, who, sameIntegration) || !p.until.IsZero() && !now.Before(p.until) {
		p = s.build(q, pattern, who, now)
		s.cache.put(q, p, now)
	}
	if !subscribed(who, q.typ) {
		s.cfg.Planes.Seen(q.plane, q.typ)
	}
	return p
}

// subscribed reports whether any of a caller's integrations subscribes to what it
// polls for.
func subscribed(who []Integration, typ string) bool {
	for i := range who {
		for j := range who[i].Subscriptions {
			if covers(who[i].Subscriptions[j].Event, typ) {
				return true
			}
		}
	}
	return false
}

// build makes the page from what is open.
func (s *Server) build(q question, pattern bool, who []Integration, now time.Time) *page {
	p := &page{planes: who}
	f := newFilter(who, q.typ)
	plane := token(q.plane)
	digest := fnv.New128a()
	body := []byte(`{"events":[`)
	total, last, more := 0, uint64(0), false
	p.version = s.index.look(q.typ, pattern, func(e *entry) {
		if !is(q.project, e.project) || !is(q.stage, e.stage) || !is(q.service, e.service) || !is(q.id, e.id) {
			return
		}
		n, wanted := f.wants(e)
		if !wanted || e.hidden(plane, n) || !p.times(e, now) {
			return
		}
		total++
		switch {
		case q.before != 0 && e.seq >= q.before:
		case p.n < q.size:
			if p.n > 0 {
				body = append(body, ',')
			}
			p.n++
			last = e.seq
			body = append(body, e.json...)
			_, _ = digest.Write([]byte(e.key)) // never fails
		default:
			more = q.size > 0
		}
	})
	// The key of the next page says behind which event it begins, so that it is the
	// same whatever is opened or closed meanwhile.
	if !more {
		last = 0
	}
	body = append(strconv.AppendUint(append(body, `],"nextPageKey":"`...), last, 10), '"')
	if total > 0 {
		body = strconv.AppendInt(append(body, `,"totalCount":`...), int64(total), 10)
	}
	body = append(body, '}')
	p.body = body
	_, _ = digest.Write(binary.BigEndian.AppendUint64(nil, uint64(total))) //nolint:gosec // a count
	p.tag = `"` + hex.EncodeToString(digest.Sum(nil)) + `"`
	return p
}

func is(want, got string) bool { return want == "" || want == got }

// times reports whether an event is to be seen now, and notes when that changes.
func (p *page) times(e *entry, now time.Time) bool {
	change := e.end
	if now.Before(e.due) {
		change = e.due
	}
	if now.Before(change) && (p.until.IsZero() || change.Before(p.until)) {
		p.until = change
	}
	return e.seen(now)
}

// A filter says which events a caller gets.
type filter struct {
	all  bool              // no integration of its subscribes to what it polls for
	subs [][]*Subscription // of each integration, those that count
}

// newFilter has the subscriptions that count for a type or pattern: those to the
// very same, if there are any, since it is for them that a client polls; else
// those that cover it.
func newFilter(who []Integration, typ string) filter {
	for _, counts := range []func(event string) bool{
		func(event string) bool { return event == typ },
		func(event string) bool { return covers(event, typ) },
	} {
		var f filter
		for i := range who {
			var subs []*Subscription
			for j := range who[i].Subscriptions {
				if sub := &who[i].Subscriptions[j]; counts(sub.Event) {
					subs = append(subs, sub)
				}
			}
			if subs != nil {
				f.subs = append(f.subs, subs)
			}
		}
		if f.subs != nil {
			return f
		}
	}
	return filter{all: true}
}

// wants reports whether the caller gets an event, and how many of its integrations
// want it.
func (f *filter) wants(e *entry) (n int, wanted bool) {
	if f.all {
		return 1, true
	}
	for _, subs := range f.subs {
		if slices.ContainsFunc(subs, func(s *Subscription) bool { return s.matches(e) }) {
			n++
		}
	}
	return n, n > 0
}

func sameIntegration(a, b Integration) bool {
	return a.ID == b.ID && slices.EqualFunc(a.Subscriptions, b.Subscriptions, func(a, b Subscription) bool {
		return a.Event == b.Event && slices.Equal(a.Projects, b.Projects) && slices.Equal(a.Stages, b.Stages) && slices.Equal(a.Services, b.Services)
	})
}

// Bounds of the pages that are kept, and of their bodies together.
const (
	maxPages     = 8192
	maxPageBytes = 64 << 20
)

// keepPage is for how long a page is kept that nobody asks for.
const keepPage = time.Minute

// A cache keeps pages. It is safe for concurrent use.
type cache struct {
	mu    sync.Mutex // guards the following fields
	pages map[question]*page
	bytes int
}

func newCache() *cache { return &cache{pages: map[question]*page{}} }

func (c *cache) get(q question, now time.Time) *page {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pages[q]
	if p != nil {
		p.used = now
	}
	return p
}

func (c *cache) put(q question, p *page, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(q)
	if len(c.pages) >= maxPages || c.bytes+len(p.body) > maxPageBytes {
		clear(c.pages)
		c.bytes = 0
	}
	p.used = now
	c.pages[q] = p
	c.bytes += len(p.body)
}

// remove forgets a page. The caller holds mu.
func (c *cache) remove(q question) {
	if p := c.pages[q]; p != nil {
		c.bytes -= len(p.body)
		delete(c.pages, q)
	}
}

// trim drops what nobody asks for.
func (c *cache) trim(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for q, p := range c.pages {
		if now.Sub(p.used) > keepPage {
			c.remove(q)
		}
	}
}
