package console

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A mapData is what the map shows.
type mapData struct {
	Query     string
	Headline  string
	Totals    totals
	Troubles  []trouble
	More      int // troubles that are not shown
	Grid      grid
	Picture   picture
	Links     []linkRow
	Sent      spark
	Delivered spark
}

// Shown reports whether any stamp matches.
func (d mapData) Shown() bool {
	return slices.ContainsFunc(d.Grid.Rows, func(r gridRow) bool { return !r.Hidden() })
}

func (c *Console) mapPage(r *http.Request) (*view, error) {
	l := c.watch.get(r.Context())
	if l == nil {
		return nil, errNoLook
	}
	v := &view{Page: "map", Title: "Map", Nav: "map", Live: "page=map", Data: c.mapData(l, clip(r.URL.Query().Get("q")))}
	v.about(l)
	return v, nil
}

func (c *Console) mapData(l *look, q string) mapData {
	d := mapData{
		Query: q, Totals: sum(l), Troubles: c.troubles(l.fed.Stamps), Grid: makeGrid(l, q), Picture: drawLinks(l), Links: links(l),
	}
	d.Headline = headline(d.Totals)
	d.More = max(len(d.Troubles)-maxTroubles, 0)
	d.Troubles = d.Troubles[:len(d.Troubles)-d.More]
	sent, delivered := c.samples.rates()
	d.Sent, d.Delivered = draw("Events sent", sent, rateWord), draw("Events delivered", delivered, rateWord)
	return d
}

// maxQuery bounds what is searched for.
const maxQuery = 200

func clip(q string) string {
	q = strings.TrimSpace(strings.ToValidUTF8(q, ""))
	return q[:min(len(q), maxQuery)]
}

// A stampData is what the page of a stamp shows.
type stampData struct {
	*stamp
	Cell     cell
	Own      bool // its gateway shows this page, and knows more
	Same     bool // it has the topology in force that the asked one has
	Troubles []trouble
	Held     []target       // events that it holds for others
	Events   []waitingEvent // that wait in it
	Planes   []plane
	Delay    *spark
	Errors   []string // what could not be found
}

func (c *Console) stampPage(r *http.Request) (*view, error) {
	name := r.PathValue("name")
	l := c.watch.get(r.Context())
	if l == nil {
		return nil, errNoLook
	}
	d := c.stampData(r, l, name)
	if d == nil {
		return nil, errNoStamp
	}
	v := &view{Page: "stamp", Title: name, Nav: "map", Live: "page=stamp&name=" + name, Data: d}
	v.about(l)
	return v, nil
}

const (
	maxEvents = 50              // that wait, on a page
	askedSoon = 2 * time.Second // how long a part of the gateway is waited for
)

// stampData returns nil if there is no such stamp.
func (c *Console) stampData(r *http.Request, l *look, name string) *stampData {
	at := slices.IndexFunc(l.fed.Stamps, func(s stamp) bool { return s.Stamp == name })
	if at < 0 {
		return nil
	}
	s := &l.fed.Stamps[at]
	d := &stampData{stamp: s, Cell: makeCell(l, s), Own: s.Way == wayHere, Troubles: c.troubles(l.fed.Stamps[at : at+1])}
	if s.Status != nil {
		d.Same = s.Status.Topology.Hash == l.fed.Hash
		for _, t := range s.Status.Targets {
			if t.Held > 0 || t.Away {
				d.Held = append(d.Held, t)
			}
		}
	}
	if k, ok := c.samples.delayTo(name); ok {
		is := draw("Delay of canaries from "+l.fed.Asked, k, delayWord)
		d.Delay = &is
	}
	if d.Own && s.Waiting > 0 {
		var err error
		if d.Events, err = c.waitingEvents(r, ""); err != nil {
			d.Errors = append(d.Errors, err.Error())
		}
	}
	all, err := c.planes(r)
	if err != nil {
		d.Errors = append(d.Errors, err.Error())
	}
	for _, p := range all {
		if p.Stamp == name {
			d.Planes = append(d.Planes, p.Planes...)
		}
	}
	return d
}

// A ratesData is what the page of rates shows.
type ratesData struct {
	Rates  []spark
	Delays []spark
	More   int // stamps that are not shown
}

// maxCurves bounds the delays on one page, the longest of which come first.
const maxCurves = 60

func (c *Console) ratesPage(r *http.Request) (*view, error) {
	v := &view{Page: "rates", Title: "Rates and delays", Nav: "rates", Live: "page=rates", Data: c.ratesData()}
	if l := c.watch.get(r.Context()); l != nil {
		v.about(l)
	}
	return v, nil
}

func (c *Console) ratesData() ratesData {
	sent, delivered := c.samples.rates()
	d := ratesData{Rates: []spark{draw("Events sent", sent, rateWord), draw("Events delivered", delivered, rateWord)}}
	all := c.samples.delays()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	d.More = max(len(names)-maxCurves, 0)
	if d.More > 0 {
		slices.SortStableFunc(names, func(a, b string) int { return highest(all[b], all[a]) })
		names = names[:maxCurves]
	}
	for _, n := range names {
		s := draw("Delay to "+n, all[n], delayWord)
		s.Link = n
		d.Delays = append(d.Delays, s)
	}
	return d
}

// highest compares the last values of two curves.
func highest(a, b curve) int {
	x, y := a[sampleCount-1], b[sampleCount-1]
	switch {
	case x > y || y != y && x == x: //nolint:gocritic // NaN
		return 1
	case x < y || x != x && y == y: //nolint:gocritic // NaN
		return -1
	}
	return 0
}
