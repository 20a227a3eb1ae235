package console

import (
	"fmt"
	"math"
)

// The picture of the links: hubs on a circle, their leaves in a fan outside.
const (
	pictureSize = 400.0
	hubCircle   = 82.0
	leafCircle  = 138.0 // the first arc of leaves
	leafArc     = 15.0  // from arc to arc
	leafSpace   = 13.0  // between leaves on an arc
	outermost   = 190.0
)

// A picture is the links, drawn. It has no text that is not elsewhere.
type picture struct {
	Lines []pictureLine
	Dots  []pictureDot
	Label string
	Box   string // what of the square is used, as an SVG viewBox
}

type pictureLine struct {
	X1, Y1, X2, Y2 string
	State          string
	Hubs           bool // between hubs
}

type pictureDot struct {
	X, Y, Name, State string
	Hub, Asked        bool
}

type point struct{ x, y float64 }

// drawLinks draws the links of a federation.
func drawLinks(l *look) picture {
	all := links(l)
	var hubs []string
	leaves := map[string][]string{}
	state := map[string]*stamp{}
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		state[s.Stamp] = s
		if s.Via == "gateway" {
			hubs = append(hubs, s.Stamp)
		}
	}
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		if s.Via != "gateway" {
			hub := hubOf(l, s)
			leaves[hub] = append(leaves[hub], s.Stamp)
		}
	}
	at := place(hubs, leaves)
	var p picture
	down := 0
	for _, k := range all {
		a, okA := at[k.From]
		b, okB := at[k.To]
		if !okA || !okB {
			continue
		}
		if k.State == stateDown {
			down++
		}
		p.Lines = append(p.Lines, pictureLine{
			X1: coord(a.x), Y1: coord(a.y), X2: coord(b.x), Y2: coord(b.y), State: k.State, Hubs: k.Kind == kindGateway,
		})
	}
	for i := range l.fed.Stamps {
		s := &l.fed.Stamps[i]
		if xy, ok := at[s.Stamp]; ok {
			p.Dots = append(p.Dots, pictureDot{
				X: coord(xy.x), Y: coord(xy.y), Name: s.Stamp, State: s.state(), Hub: s.Via == "gateway", Asked: s.Way == wayHere,
			})
		}
	}
	edge := 0.0
	for _, xy := range at {
		edge = max(edge, math.Hypot(xy.x-pictureSize/2, xy.y-pictureSize/2))
	}
	edge += 18
	p.Box = fmt.Sprintf("%.0f %.0f %.0f %.0f", pictureSize/2-edge, pictureSize/2-edge, 2*edge, 2*edge)
	p.Label = fmt.Sprintf("%s and %s: %s, %d down", plural(len(hubs), "hub", "hubs"),
		plural(len(l.fed.Stamps)-len(hubs), "leaf", "leaves"), plural(len(all), "link", "links"), down)
	return p
}

// place gives each hub a sector as wide as it has leaves, and a point in its
// middle; and each leaf a point on an arc of it.
func place(hubs []string, leaves map[string][]string) map[string]point {
	at := map[string]point{}
	weight := 0.0
	for _, h := range hubs {
		weight += share(leaves[h])
	}
	from := -math.Pi / 2
	radius := hubCircle
	if len(hubs) == 1 {
		radius = 0
	}
	for _, h := range hubs {
		width := 2 * math.Pi * share(leaves[h]) / weight
		middle := from + width/2
		at[h] = polar(radius, middle)
		fan(at, leaves[h], from, width)
		from += width
	}
	return at
}

func share(leaves []string) float64 { return 1.5 + float64(len(leaves)) }

// fan puts leaves on arcs of a sector, the inner ones first.
func fan(at map[string]point, leaves []string, from, width float64) {
	const margin = 0.93 // of the sector is used
	space := leafSpace
	for room(width*margin, space) < len(leaves) {
		space *= 0.94
	}
	for r := leafCircle; len(leaves) > 0; r += leafArc {
		n := min(len(leaves), onArc(width*margin, r, space))
		if r+leafArc > outermost {
			n = len(leaves)
		}
		for i, name := range leaves[:n] {
			a := from + width/2 + (float64(i)-float64(n-1)/2)*min(width*margin/float64(n), 0.32)
			at[name] = polar(r, a)
		}
		leaves = leaves[n:]
	}
}

func onArc(width, r, space float64) int { return max(int(width*r/space), 1) }

// room is how many leaves a sector has place for.
func room(width, space float64) int {
	n := 0
	for r := leafCircle; r <= outermost; r += leafArc {
		n += onArc(width, r, space)
	}
	return n
}

func polar(r, a float64) point {
	return point{pictureSize/2 + r*math.Cos(a), pictureSize/2 + r*math.Sin(a)}
}

func coord(v float64) string { return fmt.Sprintf("%.1f", v) }
