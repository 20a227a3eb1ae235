package topology

import (
	"fmt"
	"html"
	"strings"
)

// Mermaid returns the stamps and links of m as a Mermaid flowchart: stamps in
// boxes by geo, hubs thick among each other, leaves to their first hub.
func (m *Mesh) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	node := map[StampID]string{} // a name may hold what Mermaid takes for an arrow
	for i, s := range m.Stamps {
		node[s.ID] = fmt.Sprintf("s%d", i)
	}
	for i, g := range m.Geos {
		fmt.Fprintf(&b, "  subgraph g%d[\"geo %s\"]\n", i, g)
		for _, s := range m.Stamps {
			if s.Geo == g {
				fmt.Fprintf(&b, "    %s%s\n", node[s.ID], mermaidShape(s))
			}
		}
		b.WriteString("  end\n")
	}
	m.eachLink(func(from, to StampID, label string) {
		arrow := "-->"
		if label == "gateway" {
			arrow = "<==>"
		}
		fmt.Fprintf(&b, "  %s %s|%s| %s\n", node[from], arrow, label, node[to])
	})
	return b.String()
}

func mermaidShape(s *Stamp) string {
	text := fmt.Sprintf("%s<br/>%s", s.ID, s.Ring)
	if s.Control {
		return "{{\"" + text + "<br/>control plane\"}}"
	}
	return "[\"" + text + "\"]"
}

// Dot returns the same in the language of Graphviz.
func (m *Mesh) Dot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box];\n", m.Name)
	for i, g := range m.Geos {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%q;\n", i, "geo "+string(g))
		for _, s := range m.Stamps {
			if s.Geo != g {
				continue
			}
			shape := "box"
			if s.Control {
				shape = "hexagon"
			}
			fmt.Fprintf(&b, "    %q [label=%q, shape=%s];\n", s.ID, string(s.ID)+"\n"+string(s.Ring), shape)
		}
		b.WriteString("  }\n")
	}
	m.eachLink(func(from, to StampID, label string) {
		dir := "forward"
		if label == "gateway" {
			dir = "both"
		}
		fmt.Fprintf(&b, "  %q -> %q [label=%q, dir=%s];\n", from, to, label, dir)
	})
	b.WriteString("}\n")
	return b.String()
}

// eachLink calls f for every pair of hubs once, and for every leaf and its
// first hub.
func (m *Mesh) eachLink(f func(from, to StampID, label string)) {
	hubs := m.Hubs()
	for i, a := range hubs {
		for _, b := range hubs[i+1:] {
			f(a.ID, b.ID, "gateway")
		}
	}
	for _, s := range m.Stamps {
		if s.Link.Kind == LinkLeaf && len(s.Link.Via) > 0 {
			f(s.ID, s.Link.Via[0], string(s.Link.Transport))
		}
	}
}

// Sizes of the SVG picture, in pixels.
const (
	cellWidth, boxHeight, boxGap = 190, 44, 14
	leftMargin, topMargin        = 110, 70
)

// SVG returns a picture of m: a column for each ring, a row for each geo, a box
// for each stamp, a line for each link. It needs nothing from outside and
// works in light and dark.
func (m *Mesh) SVG() string {
	at, width, height := m.layout()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, "<title id=\"t\">Federation %s</title>\n<desc id=\"d\">%d stamps in %d geos and %d rings, %d of them hubs</desc>\n",
		html.EscapeString(m.Name), len(m.Stamps), len(m.Geos), len(m.Rings), len(m.Hubs()))
	b.WriteString("<style>text{fill:#1b1f24}.b{fill:#eef2f7;stroke:#44546a}.h{fill:#d8e6ff;stroke:#1d4ed8;stroke-width:2}.l{stroke:#8a97a8;fill:none}.g{stroke:#1d4ed8;stroke-width:2;fill:none}" +
		"@media (prefers-color-scheme:dark){text{fill:#e6e9ee}.b{fill:#222a35}.h{fill:#1e3a6e}}</style>\n")
	m.eachLink(func(from, to StampID, label string) {
		class := "l"
		if label == "gateway" {
			class = "g"
		}
		a, z := at[from], at[to]
		fmt.Fprintf(&b, "<path class=%q d=\"M%d %dL%d %d\"/>\n", class, a[0], a[1], z[0], z[1])
	})
	for i, r := range m.Rings {
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"40\" text-anchor=\"middle\" font-weight=\"bold\">%s</text>\n", leftMargin+i*cellWidth+cellWidth/2, html.EscapeString(string(r)))
	}
	seen := map[Geo]bool{}
	for _, g := range m.Geos {
		for _, s := range m.Stamps {
			if s.Geo != g {
				continue
			}
			p := at[s.ID]
			if !seen[g] {
				seen[g] = true
				fmt.Fprintf(&b, "<text x=\"12\" y=\"%d\" font-weight=\"bold\">%s</text>\n", p[1]+4, html.EscapeString(string(g)))
			}
			b.WriteString(svgBox(s, p))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func svgBox(s *Stamp, p [2]int) string {
	class, what := "b", "leaf over "+string(s.Link.Transport)
	if s.Link.Kind == LinkHub {
		class, what = "h", "hub"
	}
	if s.Control {
		what += ", control plane"
	}
	w := cellWidth - 30
	return fmt.Sprintf("<g><title>%[1]s: %[2]s</title><rect class=%[3]q x=\"%[4]d\" y=\"%[5]d\" width=\"%[6]d\" height=\"%[7]d\" rx=\"6\"/>"+
		"<text x=\"%[8]d\" y=\"%[9]d\" text-anchor=\"middle\">%[1]s</text><text x=\"%[8]d\" y=\"%[10]d\" text-anchor=\"middle\" font-size=\"10\">%[2]s</text></g>\n",
		html.EscapeString(string(s.ID)), what, class, p[0]-w/2, p[1]-boxHeight/2, w, boxHeight, p[0], p[1]-3, p[1]+13)
}

// layout returns the centre of each stamp's box and the size of the picture.
func (m *Mesh) layout() (at map[StampID][2]int, width, height int) {
	at = map[StampID][2]int{}
	y := topMargin
	for _, g := range m.Geos {
		rows := 1
		for i, r := range m.Rings {
			n := 0
			for _, s := range m.Stamps {
				if s.Geo == g && s.Ring == r {
					at[s.ID] = [2]int{leftMargin + i*cellWidth + cellWidth/2, y + n*(boxHeight+boxGap) + boxHeight/2}
					n++
				}
			}
			rows = max(rows, n)
		}
		y += rows*(boxHeight+boxGap) + boxGap
	}
	return at, leftMargin + len(m.Rings)*cellWidth, y
}

// A Graph is what the pictures show, for programs.
type Graph struct {
	Federation string  `json:"federation"`
	Stamps     []Node  `json:"stamps"`
	Links      []Drawn `json:"links"`
}

// A Node is a stamp of a graph.
type Node struct {
	Name    StampID `json:"name"`
	Geo     Geo     `json:"geo"`
	Ring    Ring    `json:"ring"`
	Hub     bool    `json:"hub"`
	Control bool    `json:"control"`
}

// A Drawn link is dialled by From; kind is gateway, tls or wss.
type Drawn struct {
	From StampID `json:"from"`
	To   StampID `json:"to"`
	Kind string  `json:"kind"`
}

// Graph returns the stamps and links of m: every pair of hubs once, and every
// leaf with its first hub.
func (m *Mesh) Graph() Graph {
	g := Graph{Federation: m.Name, Stamps: []Node{}, Links: []Drawn{}}
	for _, s := range m.Stamps {
		g.Stamps = append(g.Stamps, Node{s.ID, s.Geo, s.Ring, s.Link.Kind == LinkHub, s.Control})
	}
	m.eachLink(func(from, to StampID, label string) { g.Links = append(g.Links, Drawn{from, to, label}) })
	return g
}
