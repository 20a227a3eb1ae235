package console_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience, tick = 20 * time.Second, 10 * time.Millisecond

func TestMapShowsEveryStampWithItsState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"), cut())
	code, page := w.get(t, "/console/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "<h1>1 stamp of 2 cannot be reached</h1>")
	require.Contains(t, page, `<th scope="col" role="columnheader">dev</th><th scope="col" role="columnheader">prod</th>`, "rings in the order of the roll-out")
	require.Contains(t, page, `<th scope="row" role="rowheader">apac</th>`)
	require.Contains(t, page, `<a class="stamp up hub asked" href="/console/stamp/hub-1"`)
	require.Contains(t, page, `<span class="word">DOWN</span><span class="via">leaf to hub-1</span>`)
	require.Contains(t, page, `no leafnode connection from it <span class="nowrap">at <code>hub.example:7422</code>`)
	require.Contains(t, page, `<span>side <b>leaf-1 → hub-1</b></span>`)
	require.Contains(t, page, `1204 events held`)
	require.Contains(t, page, `<a href="https://docs.example/errors#RW-301" rel="noreferrer">What to do (RW-301)</a>`)
	require.Contains(t, page, `role="img" aria-label="1 hub and 1 leaf: 1 link, 1 down"`)
	require.Regexp(t, `<line class="down" x1=`, page)
}

func TestMapIsFilteredWithoutScripts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"), cut(), leaf("leaf-2", "up"))
	_, page := w.get(t, "/console/?q=Down")
	require.Contains(t, page, `<li id="stamp-hub-1" data-match="hub-1 emea prod hub" hidden>`)
	require.Regexp(t, `<li id="stamp-leaf-1" data-match="[^"]*">`, page)
	require.Contains(t, page, `<tr role="row" hidden><th scope="row" role="rowheader">emea`)
	_, page = w.get(t, "/console/?q=nothing")
	require.Contains(t, page, `<p id="nothing">No stamp matches.`)
}

func TestStampPage(t *testing.T) {
	t.Parallel()
	own := hub("hub-1", "here")
	own["waiting"] = 1
	st := statusOf()
	st["links"] = []document{{"peer": "leaf-1", "kind": "leaf-in", "addr": "10.1.2.3:5", "up": false, "err": "i/o timeout"}}
	st["waiting"] = []document{{"subject": "sh.keptn.event.deploy.triggered", "count": 1, "reason": "no plane"}}
	st["targets"] = []document{{"stamp": "leaf-1", "away": true, "held": 7, "err": "no answer"}}
	own["status"] = st
	w := newWorld(t, own, cut())
	w.waiting = []document{{"id": "abc", "subject": "sh.keptn.event.deploy.triggered", "from": "leaf-1", "reason": "no plane"}}
	w.planes = []document{{"stamp": "hub-1", "planes": []document{{"name": "jes", "state": "stale", "subscriptions": []document{{"event": "sh.keptn.event.deploy.triggered"}}}}}}

	code, page := w.get(t, "/console/stamp/hub-1")
	require.Equal(t, http.StatusOK, code)
	for _, want := range []string{
		"i/o timeout", "10.1.2.3:5", `<a href="/console/event?id=abc">`, `<td class="num">7</td>`, "jes", "deploy.triggered",
		"user.creds", "in 299 d", "<dt>Dead letters</dt><dd>3</dd>", "<dt>Replicas</dt><dd>1 of 1</dd>",
	} {
		require.Contains(t, page, want)
	}
	code, page = w.get(t, "/console/stamp/leaf-1")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "This stamp did not say how it is: no answer")
	require.Contains(t, page, "Delay of canaries from hub-1, last 2 min: now 18 ms, lowest 18 ms, highest 18 ms")

	code, page = w.get(t, "/console/stamp/other")
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, page, "the topology has no such stamp")
}

func TestEventPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"))
	code, page := w.get(t, "/console/event")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, `<label for="find">Event id or shkeptncontext</label>`)

	code, page = w.get(t, "/console/event?id=gone")
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, page, "Nothing is known of <code>gone</code>")

	code, page = w.get(t, "/console/event?id=broken")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "journal is not readable")

	w.mu.Lock()
	w.story = document{
		"events": []document{{"id": "abc", "type": "sh.keptn.event.deploy.triggered"}, {"id": "def", "type": "sh.keptn.event.deploy.started"}},
		"entries": []document{
			{"time": time.Now(), "stamp": "hub-1", "step": "captured", "type": "sh.keptn.event.deploy.triggered", "where": "hub-1", "what": "published it"},
			{"time": time.Now(), "stamp": "hub-1", "step": "refused", "where": "hub-1 → leaf-1", "what": "refused (by-policy)"},
		},
		"now":    []document{{"time": time.Now(), "stamp": "leaf-1", "step": "waiting", "where": "leaf-1", "what": "waits: no plane"}},
		"silent": []document{{"stamp": "leaf-2", "err": "no answer"}},
	}
	w.err = errors.New("this replica does not deliver")
	w.mu.Unlock()
	code, page = w.get(t, "/console/event?id=abc")
	require.Equal(t, http.StatusOK, code)
	require.Regexp(t, `<li class="done"><time [^>]*>[^<]*</time><span class="where"><a href="/console/stamp/hub-1">hub-1</a></span><div class="step"><p>published it</p><p class="of">deploy.triggered</p>`, page)
	require.Regexp(t, `<li class="refused">.*hub-1 → leaf-1.*refused \(by-policy\)`, page)
	require.Regexp(t, `<li class="waits">.*<span class="sr">waits: </span>waits: no plane`, page)
	require.Contains(t, page, `<a href="/console/stamp/leaf-2">leaf-2</a>: no answer`)
	require.Contains(t, page, "what waits here is not known: this replica does not deliver")
}

func TestRatesPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"))
	code, page := w.get(t, "/console/rates")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, `aria-label="Events sent, last hour: no figures yet"`)
	require.Contains(t, page, `aria-label="Delay to leaf-1, last 2 min: now 18 ms, lowest 18 ms, highest 18 ms"`)
}

func TestNothingHostileGetsOut(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	s := cut()
	s["stamp"], s["geo"], s["ring"], s["err"] = evil, evil, evil, evil
	s["causes"] = []document{{"code": evil, "side": evil + " → x", "addr": evil, "reason": evil}}
	own := hub("hub-1", "here")
	own["waiting"] = 1
	w := newWorld(t, own, s)
	w.waiting = []document{{"id": evil, "subject": evil, "from": evil, "reason": evil}}
	w.story = document{
		"events": []document{{"id": evil, "type": evil, "project": evil}}, "entries": []document{{"stamp": evil, "step": evil, "where": evil, "what": evil}},
		"silent": []document{{"stamp": evil, "err": evil}},
	}
	for _, path := range []string{"/console/", "/console/?q=%22%3E%3Cscript%3E", "/console/stamp/hub-1", "/console/event?id=%22%3E%3Cscript%3Ealert(1)", "/console/stamp/%22%3E%3Cscript%3E"} {
		_, page := w.get(t, path)
		require.NotContains(t, page, "<script>", path)
		require.NotContains(t, page, "<img", path)
		require.NotContains(t, page, `href="javascript:`, path)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"))
	for _, path := range []string{"/console/", "/console/event", "/console/rates", "/console/nothing", "/console/static/console.js", "/console/stamp/x"} {
		h := w.do(t, http.MethodHead, path).Header
		require.Equal(t, "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
			"frame-ancestors 'none'; base-uri 'none'; form-action 'self'", h.Get("Content-Security-Policy"), path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
		require.Equal(t, "DENY", h.Get("X-Frame-Options"))
	}
	_, page := w.get(t, "/console/")
	require.NotRegexp(t, `<[^>]+ style=|<[^>]+ on[a-z]+=|<style|<script[^>]*>[^<]|(?:src|<link[^>]*href)="https?:`, page, "nothing inline, nothing from elsewhere")
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		r := w.do(t, method, "/console/")
		require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode, method)
		require.Equal(t, "GET, HEAD", r.Header.Get("Allow"))
	}
	require.Equal(t, http.StatusOK, w.do(t, http.MethodHead, "/console/").StatusCode)
	require.Equal(t, http.StatusNotFound, w.do(t, http.MethodGet, "/console/../status/x").StatusCode)
}

func TestAssetsAreKeptUntilTheyChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"))
	_, page := w.get(t, "/console/")
	_, rest, ok := strings.Cut(page, `<link rel="stylesheet" href="`)
	require.True(t, ok)
	path, _, _ := strings.Cut(rest, `"`)
	r := w.do(t, http.MethodGet, path)
	require.Equal(t, "text/css; charset=utf-8", r.Header.Get("Content-Type"))
	require.Contains(t, r.Header.Get("Cache-Control"), "immutable")
	require.Contains(t, w.do(t, http.MethodGet, "/console/static/console.css").Header.Get("Cache-Control"), "no-cache")
	require.Equal(t, http.StatusNotFound, w.do(t, http.MethodGet, "/console/static/layout.html").StatusCode)
}

// news is what a page is told.
type news struct {
	HTML map[string]string `json:"html"`
	Say  string            `json:"say"`
}

// follow returns what tells the next thing that a page is told.
func (w *world) follow(t *testing.T, query string) func() news {
	t.Helper()
	r := w.do(t, http.MethodGet, "/console/live?"+query)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "text/event-stream", r.Header.Get("Content-Type"))
	lines := bufio.NewReader(r.Body)
	return func() news {
		for {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var n news
				require.NoError(t, json.Unmarshal([]byte(data), &n))
				return n
			}
		}
	}
}

func TestLivePageIsToldWhatChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"), leaf("leaf-1", "up"))
	next := w.follow(t, "page=map")
	first := next()
	require.Contains(t, first.HTML, "stamp-leaf-1")
	require.Empty(t, first.Say)

	w.set(hub("hub-1", "here"), cut())
	n := next()
	for len(n.HTML) == 0 {
		n = next()
	}
	require.Contains(t, n.HTML["stamp-leaf-1"], "DOWN")
	require.Contains(t, n.HTML["map-troubles"], "leaf-1 → hub-1")
	require.NotContains(t, n.HTML, "stamp-hub-1", "what is as it was is not told again")
	require.Equal(t, "leaf-1 is down", n.Say)
}

func TestLivePageIsNotToldWhatItShows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"), leaf("leaf-1", "up"))
	for range 3 { // there may be another look in between
		_, page := w.get(t, "/console/")
		_, rest, ok := strings.Cut(page, `data-live="/console/live?`)
		require.True(t, ok)
		query, _, _ := strings.Cut(rest, `"`)
		if len(w.follow(t, strings.ReplaceAll(query, "&amp;", "&"))().HTML) == 0 {
			return
		}
	}
	require.Fail(t, "all of it is told again")
}

func TestLivePageOfAStamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"), cut())
	require.Contains(t, w.follow(t, "page=stamp&name=leaf-1")().HTML["stamp-live"], "no leafnode connection")
	require.Contains(t, w.follow(t, "page=rates")().HTML, "rates-live")
}

func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, many(3)...)
	for range 32 {
		w.follow(t, "page=map")()
	}
	r := w.do(t, http.MethodGet, "/console/live?page=map")
	require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	require.NotEmpty(t, r.Header.Get("Retry-After"))
	require.LessOrEqual(t, w.looks.Load(), int64(patience/time.Second), "all stamps are asked once for all who look")
	code, _ := w.get(t, "/console/")
	require.Equal(t, http.StatusOK, code)
}

func TestNobodyAsksWhenNobodyLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, hub("hub-1", "here"))
	require.Zero(t, w.looks.Load())
	w.get(t, "/console/")
	require.Positive(t, w.looks.Load())
}
