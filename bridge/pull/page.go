package pull

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	// pageSize is asked for: Keptn has no bound, and one page can neither skip
	// nor repeat.
	pageSize = "500"
	// maxPages bounds a list whose pages do not end.
	maxPages = 1000
)

// A listed is an open event as the API shows it, in go-utils' shape. What it
// does not name is lost in every hop of Keptn's as well (contract §1.1).
type listed struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      *string         `json:"source"`
	Type        string          `json:"type"`
	Content     string          `json:"contenttype"`
	DataContent string          `json:"datacontenttype"`
	Time        string          `json:"time"`
	Data        json.RawMessage `json:"data"`
	Extensions  json.RawMessage `json:"extensions"`
	Commit      string          `json:"gitcommitid"`
	Context     string          `json:"shkeptncontext"`
	KeptnSpec   string          `json:"shkeptnspecversion"`
	TriggeredID string          `json:"triggeredid"`
}

// A published is an event in the shape in which shipyard-controller publishes.
type published struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Content     string          `json:"datacontenttype"`
	Time        string          `json:"time,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Extensions  json.RawMessage `json:"extensions,omitempty"`
	Commit      string          `json:"gitcommitid,omitempty"`
	Context     string          `json:"shkeptncontext,omitempty"`
	KeptnSpec   string          `json:"shkeptnspecversion,omitempty"`
	TriggeredID string          `json:"triggeredid,omitempty"`
}

// body returns the event as it would have been published. Its data are the same
// bytes, but for blanks.
func (l *listed) body() ([]byte, error) {
	p := published{
		SpecVersion: or(l.SpecVersion, "1.0"), ID: l.ID, Type: l.Type, Content: or(l.DataContent, or(l.Content, "application/json")),
		Time: l.Time, Data: l.Data, Extensions: l.Extensions, Commit: l.Commit, Context: l.Context, KeptnSpec: l.KeptnSpec, TriggeredID: l.TriggeredID,
	}
	if l.Source != nil {
		p.Source = *l.Source
	}
	if string(p.Extensions) == "null" {
		p.Extensions = nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// A page is a part of a list.
type page struct {
	Events []listed `json:"events"`
	Next   string   `json:"nextPageKey"`
}

func (p *page) last() bool { return p.Next == "" || p.Next == "0" }

// A lister reads lists, and remembers pages for which there is an ETag. It
// belongs to one goroutine.
type lister struct {
	up    *upstream
	pages map[string]tagged // by path and query
}

type tagged struct {
	tag  string
	page *page
}

func newLister(up *upstream) *lister { return &lister{up: up, pages: map[string]tagged{}} }

// open returns the open events of a type, the oldest first.
func (l *lister) open(ctx context.Context, typ string) ([]listed, error) {
	all, err := l.all(ctx, shipyard, "/v1/event/triggered/"+url.PathEscape(typ), url.Values{"pageSize": {pageSize}})
	slices.Reverse(all) // the newest are first
	slices.SortStableFunc(all, func(a, b listed) int { return timeOf(a).Compare(timeOf(b)) })
	return all, err
}

func timeOf(e listed) time.Time {
	t, _ := time.Parse(time.RFC3339, e.Time) // what has none is first
	return t
}

// all follows the pages of a list. Events that are on two of them are there
// twice.
func (l *lister) all(ctx context.Context, service, path string, q url.Values) ([]listed, error) {
	var out []listed
	for range maxPages {
		p, err := l.page(ctx, service, path, q)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Events...)
		if p.last() {
			return out, nil
		}
		q.Set("nextPageKey", p.Next)
	}
	return nil, fmt.Errorf("call control plane %s: %s has more than %d pages", l.up.name, path, maxPages)
}

func (l *lister) page(ctx context.Context, service, path string, q url.Values) (*page, error) {
	req, err := l.up.request(ctx, http.MethodGet, service, path, q, nil)
	if err != nil {
		return nil, err
	}
	at := req.URL.String()
	have, cached := l.pages[at]
	if cached {
		req.Header.Set("If-None-Match", have.tag)
	}
	resp, err := l.up.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call control plane %s: %w", l.up.name, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read, or is of no use
	if resp.StatusCode == http.StatusNotModified && cached {
		return have.page, nil
	}
	delete(l.pages, at)
	if resp.StatusCode != http.StatusOK {
		return nil, l.up.refused(resp, path)
	}
	p, err := readPage(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read answer of control plane %s to %s: %w", l.up.name, path, err)
	}
	if tag := resp.Header.Get("ETag"); tag != "" {
		l.pages[at] = tagged{tag, p}
	}
	return p, nil
}

func readPage(body io.Reader) (*page, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("longer than %d bytes", maxAnswer)
	}
	p := &page{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, err
	}
	if p.Events == nil {
		return nil, errors.New("no events in it")
	}
	return p, nil
}
