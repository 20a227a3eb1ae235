package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/topology"
)

// A screen turns one moment of a demonstration into lines for a terminal. It
// is not safe for concurrent use.
type screen struct {
	mesh  *topology.Mesh
	color bool
	size  func() (width, height int)
}

// The colours, as ANSI numbers.
const (
	green  = "32"
	red    = "31"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

// paint colours text, if the screen has colours.
func (c *screen) paint(colour, text string) string {
	if !c.color || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// frame returns the lines of the screen, no more and no wider than fit. When
// there is little room, the latest events go first, then links, then stamps.
func (c *screen) frame(s demo.Snapshot, elapsed time.Duration) []string {
	width, height := c.size()
	head := []string{"", c.paint(bold, "Ringway") + fmt.Sprintf("  %s  %s  %.0f s", c.mesh.Name, s.Phase, elapsed.Seconds()), ""}
	foot := c.totals(s)
	room := max(0, height-1-len(head)-len(foot))
	var body []string
	for _, part := range [][]string{c.grid(s), c.links(s), c.latest(s)} {
		part = append(part, "")
		if len(part) > room {
			if room < 4 {
				break
			}
			part = append(part[:room-2], c.paint(dim, fmt.Sprintf("… %d more", len(part)-1-(room-2))), "")
		}
		body = append(body, part...)
		room -= len(part)
	}
	lines := append(append(head, body...), foot...)
	for i, l := range lines {
		lines[i] = clip(l, width-1)
	}
	return lines
}

// grid shows the stamps: a column a geo, a row a ring.
func (c *screen) grid(s demo.Snapshot) []string {
	down := map[string]bool{}
	seen := map[string]bool{}
	for _, l := range s.Links {
		for _, name := range []string{l.From, l.To} {
			down[name] = (down[name] || !seen[name]) && !l.Up
			seen[name] = true
		}
	}
	cells := [][]string{{""}}
	for _, g := range c.mesh.Geos {
		cells[0] = append(cells[0], c.paint(bold, string(g)))
	}
	for _, ring := range c.mesh.Rings {
		var columns [][]string
		rows := 1
		for _, geo := range c.mesh.Geos {
			var column []string
			for _, st := range s.Stamps {
				if st.Geo == string(geo) && st.Ring == string(ring) {
					column = append(column, c.stamp(st, down[st.Name]))
				}
			}
			columns = append(columns, column)
			rows = max(rows, len(column))
		}
		for i := range rows {
			row := []string{""}
			if i == 0 {
				row[0] = c.paint(bold, string(ring))
			}
			for _, column := range columns {
				cell := ""
				if i < len(column) {
					cell = column[i]
				}
				row = append(row, cell)
			}
			cells = append(cells, row)
		}
	}
	return table(cells)
}

// stamp is one cell of the grid.
func (c *screen) stamp(s demo.StampInfo, down bool) string {
	dot := c.paint(green, "●")
	if down {
		dot = c.paint(red, "○")
	}
	cell := dot + " " + s.Name + " " + c.paint(dim, kind(s))
	if s.Waiting > 0 {
		cell += c.paint(yellow, fmt.Sprintf(" %d wait", s.Waiting))
	}
	return cell
}

// links shows each link with its round-trip time and what crossed it by pair
// of stamps.
func (c *screen) links(s demo.Snapshot) []string {
	cells := [][]string{{c.paint(dim, "link"), "", c.paint(dim, "round trip")}}
	for _, l := range s.Links {
		state := c.paint(red, "down")
		if l.Up {
			state = "up"
			if l.RTT > 0 {
				state = fmt.Sprintf("%.2f ms", float64(l.RTT.Microseconds())/1000)
			}
		}
		cells = append(cells, []string{l.From + " → " + l.To, c.paint(dim, l.Kind), state})
	}
	pairs := [][]string{{
		c.paint(dim, "events"), c.paint(dim, "sent"), c.paint(dim, "seen"), c.paint(dim, "on the way"), c.paint(dim, "p50"), c.paint(dim, "p99"),
	}}
	for _, p := range s.Report.Pairs {
		waits := fmt.Sprint(p.Lost)
		if p.Lost > 0 {
			waits = c.paint(yellow, waits)
		}
		pairs = append(pairs, []string{
			p.From + " → " + p.To, fmt.Sprint(p.Sent), fmt.Sprint(p.Delivered), waits, millis(p.DelayMS.P50), millis(p.DelayMS.P99),
		})
	}
	return beside(table(cells), table(pairs))
}

// latest shows what crossed last, newest first.
func (c *screen) latest(s demo.Snapshot) []string {
	var cells [][]string
	for i := range min(8, len(s.Recent)) {
		e := s.Recent[len(s.Recent)-1-i]
		cells = append(cells, []string{
			c.paint(dim, e.At.Format("15:04:05.000")), strings.TrimPrefix(e.Type, "sh.keptn.event."),
			e.From + " → " + e.To, c.paint(dim, e.Plane), millis(float64(e.Delay.Microseconds()) / 1000),
		})
	}
	return table(cells)
}

// totals is the foot of the screen.
func (c *screen) totals(s demo.Snapshot) []string {
	r, p := s.Report, s.Progress
	bad := func(n int, what string) string {
		text := fmt.Sprintf("%s %d", what, n)
		if n > 0 {
			return c.paint(red, text)
		}
		return text
	}
	lost, waits := 0, r.Lost
	if s.Phase == "over" {
		lost, waits = r.Lost, 0
	}
	return []string{
		fmt.Sprintf("%s  delivered %d  on the way %d  %s  %s    p50 %s  p99 %s  max %s",
			c.paint(bold, fmt.Sprintf("sent %d", r.Sent)), r.Delivered, waits, bad(lost, "lost"), bad(r.Duplicated, "duplicated"),
			millis(r.DelayMS.P50), millis(r.DelayMS.P99), millis(r.DelayMS.Max)),
		fmt.Sprintf("sequences %d started  %d completed  %s  %s  %s",
			p.Sequences, p.Completed, bad(p.Hung, "hung"), bad(r.Misrouted+r.Unknown, "astray"), bad(r.Disordered, "disordered")),
	}
}

// table aligns cells in columns.
func table(cells [][]string) []string {
	var widths []int
	for _, row := range cells {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], visible(cell))
		}
	}
	var out []string
	for _, row := range cells {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-visible(cell)+2))
			}
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}

// beside puts two blocks next to each other.
func beside(left, right []string) []string {
	cells := make([][]string, max(len(left), len(right)))
	for i := range cells {
		cells[i] = []string{"", ""}
		if i < len(left) {
			cells[i][0] = left[i] + "  "
		}
		if i < len(right) {
			cells[i][1] = right[i]
		}
	}
	return table(cells)
}

// visible returns how many columns text takes, escape sequences not counted.
func visible(text string) int {
	n := 0
	for len(text) > 0 {
		if e := escape(text); e > 0 {
			text = text[e:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		n++
	}
	return n
}

// clip cuts text after width columns, and keeps the escape sequences behind.
func clip(text string, width int) string {
	var b strings.Builder
	for n := 0; len(text) > 0; {
		if e := escape(text); e > 0 {
			b.WriteString(text[:e])
			text = text[e:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		if n < width {
			b.WriteString(text[:size])
		}
		text = text[size:]
		n++
	}
	return b.String()
}

// escape returns the length of the colour that text begins with, or 0.
func escape(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	return strings.IndexByte(text, 'm') + 1
}
