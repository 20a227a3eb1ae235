package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Shape is what the topology says and /federation does not.
type Shape struct {
	Rings []string            // in the order of the roll-out
	Via   map[string][]string // of each leaf, the hubs that it may dial, best first
}

// The states that the console shows. Each has a word, a shape and a colour.
const (
	stateUp      = "up"
	stateTrouble = "trouble" // events get through, and something is not well
	stateDown    = "down"
	stateUnknown = "unknown"
)

func (s *stamp) state() string {
	switch {
	case s.Way == wayDown:
		return stateDown
	case s.Way != wayUp && s.Way != wayHere:
		return stateUnknown
	case len(s.Causes) > 0:
		return stateTrouble
	}
	return stateUp
}

// A cell is one stamp on the map.
type cell struct {
	Name    string
	Prefix  string // of Name, which its place on the map says already
	Rest    string
	State   string
	Word    string
	Asked   bool // its gateway shows this page
	Hub     bool
	Link    string // how it takes part
	Held    int64  // events that wait for it or in it
	Title   string
	Matches string // what a filter looks at, besides State
	Hidden  bool   // a filter leaves it out
}

// makeCell says how a stamp is, in a line.
func makeCell(l *look, s *stamp) cell {
	prefix := said(s.Stamp, s.Geo, s.Ring)
	c := cell{Name: s.Stamp, Prefix: prefix, Rest: s.Stamp[len(prefix):], State: s.state(), Asked: s.Way == wayHere, Held: s.Outbox + int64(s.Waiting)}
	c.Word = c.State
	if c.State == stateDown {
		c.Word = "DOWN"
	}
	c.Hub = s.Via == "gateway"
	switch hub := hubOf(l, s); {
	case c.Hub:
		c.Link = "hub"
	case hub != "":
		kind, _, _ := strings.Cut(s.Via, ":")
		c.Link = kind + " to " + hub
	default:
		c.Link = s.Via
	}
	title := []string{s.Stamp, c.Word, c.Link}
	if k := s.Canary; k != nil && k.RTT > 0 && c.State != stateDown && !c.Asked {
		title = append(title, "round trip "+brief(seconds(k.RTT)))
	}
	if c.Held > 0 {
		title = append(title, plural(c.Held, "event waits", "events wait"))
	}
	c.Title = strings.Join(title, ", ")
	c.Matches = strings.ToLower(strings.Join([]string{s.Stamp, s.Geo, s.Ring, c.Link}, " "))
	return c
}

// said returns how much of a name only repeats the geo and the ring.
func said(name, geo, ring string) string {
	rest := name
	for _, word := range []string{geo, ring} {
		if r, ok := strings.CutPrefix(rest, word+"-"); ok && r != "" {
			rest = r
		}
	}
	return name[:len(name)-len(rest)]
}

// hubOf returns the hub that a leaf is connected to: as it says itself, as a hub
// says, or else the first that it dials.
func hubOf(l *look, s *stamp) string {
	if s.Via == "gateway" {
		return ""
	}
	if s.Status != nil {
		for _, k := range s.Status.Links {
			if k.Kind == kindLeafOut {
				return k.Peer
			}
		}
	}
	for _, h := range l.fed.Stamps {
		if h.Status == nil {
			continue
		}
		for _, k := range h.Status.Links {
			if k.Kind == kindLeafIn && k.Peer == s.Stamp && k.Up {
				return h.Stamp
			}
		}
	}
	if via := l.shape.Via[s.Stamp]; len(via) > 0 {
		return via[0]
	}
	return ""
}

// A grid is the map: geos downwards, rings across.
type grid struct {
	Rings []string
	Rows  []gridRow
	Dense bool // so many stamps that each has one line
	Tight bool // and they have short names
}

type gridRow struct {
	Geo   string
	Cells []gridCell // one a ring
}

// Hidden reports whether nothing of r is shown.
func (r gridRow) Hidden() bool {
	return !slices.ContainsFunc(r.Cells, func(c gridCell) bool { return !c.Hidden() })
}

type gridCell struct {
	Ring   string
	Stamps []cell
}

// Hidden reports whether nothing of c is shown.
func (c gridCell) Hidden() bool {
	return !slices.ContainsFunc(c.Stamps, func(one cell) bool { return !one.Hidden })
}

const (
	// denseFrom is from how many stamps on each has one line only.
	denseFrom = 60
	// tightName is how long the rest of a name may be for several in a line.
	tightName = 6
)

// makeGrid lays out all stamps. Those that do not match q are hidden.
func makeGrid(l *look, q string) grid {
	g := grid{Rings: slices.Clone(l.shape.Rings), Dense: len(l.fed.Stamps) >= denseFrom}
	for _, s := range l.fed.Stamps {
		if !slices.Contains(g.Rings, s.Ring) {
			g.Rings = append(g.Rings, s.Ring)
		}
	}
	g.Tight = g.Dense
	q = strings.ToLower(strings.TrimSpace(q))
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		c := makeCell(l, s)
		g.Tight = g.Tight && len(c.Rest) <= tightName
		c.Hidden = !strings.Contains(c.Matches+" "+c.State, q)
		at := slices.IndexFunc(g.Rows, func(r gridRow) bool { return r.Geo == s.Geo })
		if at < 0 {
			row := gridRow{Geo: s.Geo}
			for _, r := range g.Rings {
				row.Cells = append(row.Cells, gridCell{Ring: r})
			}
			at, g.Rows = len(g.Rows), append(g.Rows, row)
		}
		ring := slices.Index(g.Rings, s.Ring)
		g.Rows[at].Cells[ring].Stamps = append(g.Rows[at].Cells[ring].Stamps, c)
	}
	return g
}

// Totals sum a federation up.
type totals struct {
	Stamps, Up, Trouble, Down, Unknown int
	Hubs                               int
	Held                               int64
	Waiting                            int
}

func sum(l *look) totals {
	t := totals{Stamps: len(l.fed.Stamps)}
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		switch s.state() {
		case stateUp:
			t.Up++
		case stateTrouble:
			t.Trouble++
		case stateDown:
			t.Down++
		default:
			t.Unknown++
		}
		if s.Via == "gateway" {
			t.Hubs++
		}
		t.Held += s.Outbox
		t.Waiting += s.Waiting
	}
	return t
}

// A trouble is one thing that is wrong, and what to do.
type trouble struct {
	Stamps []string // that it is about
	State  string
	Reason string
	Side   string // who dials whom; empty if it is the stamp itself
	Addr   string
	Since  time.Time
	Waits  int64
	Code   string
	See    string // where what to do is said; empty if nowhere
}

const (
	maxTroubles = 12 // shown on the map
	maxNamed    = 6  // stamps named in one
)

// More is how many stamps of t are not named.
func (t trouble) More() int { return max(len(t.Stamps)-maxNamed, 0) }

// Named are the stamps of t that are.
func (t trouble) Named() []string { return t.Stamps[:min(len(t.Stamps), maxNamed)] }

// troubles returns what is wrong, what is down first. Stamps that are down for
// the same reason stand together: where a link of the stamp that was asked is
// down, that is every stamp behind it.
func (c *Console) troubles(all []stamp) []trouble {
	var out []trouble
	same := map[string]int{}
	for _, s := range all {
		for _, is := range s.Causes {
			t := c.trouble(&s, is)
			key := is.Code + "\x00" + is.Side + "\x00" + is.Addr + "\x00" + is.Reason
			if i, ok := same[key]; ok {
				out[i].Waits += t.Waits
				if !slices.Contains(out[i].Stamps, s.Stamp) {
					out[i].Stamps = append(out[i].Stamps, s.Stamp)
				}
				continue
			}
			same[key] = len(out)
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b trouble) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	return out
}

func rank(state string) int {
	return slices.Index([]string{stateDown, stateTrouble, stateUnknown, stateUp}, state)
}

func (c *Console) trouble(s *stamp, is cause) trouble {
	t := trouble{
		Stamps: []string{s.Stamp}, State: s.state(), Reason: is.Reason, Addr: is.Addr, Since: is.Since, Waits: is.Waits, Code: is.Code,
	}
	if strings.Contains(is.Side, " → ") {
		t.Side = is.Side
	} else if t.State == stateDown && is.Code == "" {
		t.State = stateTrouble
	}
	if strings.Contains(t.Reason, t.Addr) {
		t.Addr = "" // said already
	}
	if is.Code != "" && c.cfg.See != nil {
		t.See = c.cfg.See(is.Code)
	}
	return t
}

// A linkRow is a link between two stamps.
type linkRow struct {
	From, To string
	Kind     string
	State    string
	Reason   string
}

// links returns the links between stamps as their ends say: of each pair one
// entry, down if either says so.
func links(l *look) []linkRow {
	at := map[string]*stamp{}
	for i := range l.fed.Stamps {
		at[l.fed.Stamps[i].Stamp] = &l.fed.Stamps[i]
	}
	said := map[[2]string]*linkRow{}
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		if s.Via != "gateway" {
			continue
		}
		for j := range i {
			o := &l.fed.Stamps[j]
			if o.Via == "gateway" {
				said[[2]string{o.Stamp, s.Stamp}] = &linkRow{From: o.Stamp, To: s.Stamp, Kind: kindGateway, State: hubLink(o, s)}
			}
		}
	}
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		hub := hubOf(l, s)
		if hub == "" || at[hub] == nil {
			continue
		}
		kind, _, _ := strings.Cut(s.Via, ":")
		said[[2]string{s.Stamp, hub}] = &linkRow{From: s.Stamp, To: hub, Kind: kind, State: leafLink(s, at[hub])}
	}
	out := make([]linkRow, 0, len(said))
	for _, k := range said {
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b linkRow) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}

func hubLink(a, b *stamp) string {
	state := stateUnknown
	for _, pair := range [2][2]*stamp{{a, b}, {b, a}} {
		if pair[0].Status == nil {
			continue
		}
		for _, k := range pair[0].Status.Links {
			if k.Kind == kindGateway && k.Peer == pair[1].Stamp {
				if !k.Up {
					return stateDown
				}
				state = stateUp
			}
		}
	}
	return state
}

func leafLink(leaf, hub *stamp) string {
	for _, end := range [2]*stamp{leaf, hub} {
		if end.Status == nil {
			continue
		}
		for _, k := range end.Status.Links {
			if k.Kind == kindLeafOut && end == leaf || k.Kind == kindLeafIn && k.Peer == leaf.Stamp {
				if !k.Up {
					return stateDown
				}
				return stateUp
			}
		}
	}
	if leaf.Way == wayDown {
		return stateDown
	}
	return stateUnknown
}

// headline says in a sentence how a federation is.
func headline(t totals) string {
	switch {
	case t.Down > 0:
		return fmt.Sprintf("%s of %d cannot be reached", plural(t.Down, "stamp", "stamps"), t.Stamps)
	case t.Trouble > 0:
		return fmt.Sprintf("Events get through everywhere; %s something to look at", plural(t.Trouble, "stamp has", "stamps have"))
	case t.Unknown > 0:
		return fmt.Sprintf("No stamp is known to be down; nothing is known of %d", t.Unknown)
	}
	return "Events get through everywhere"
}
