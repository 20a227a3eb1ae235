package console

import (
	"fmt"
	"math"
	"strings"
)

const (
	sparkWidth  = 240
	sparkHeight = 48
	sparkPoints = 120 // of a curve's samples, each is the highest of some
)

// A spark is a small chart.
type spark struct {
	Name  string // what it shows
	Link  string // of the stamp that it is about; empty for none
	Line  string // of an SVG path
	Area  string // the same, closed below
	EndX  float64
	EndY  float64
	Dot   bool // there is a last value
	Now   string
	Low   string
	High  string
	Label string // the figures in words
}

// draw makes a chart of c. unit writes a value.
func draw(name string, c curve, unit func(float64) string) spark {
	s := spark{Name: name, Now: "–", Low: "–", High: "–"}
	points := coarse(c)
	low, high, last := math.Inf(1), math.Inf(-1), math.NaN()
	for _, v := range c {
		if f := float64(v); !math.IsNaN(f) {
			low, high, last = min(low, f), max(high, f), f
		}
	}
	if math.IsNaN(last) {
		s.Label = name + ", last hour: no figures yet"
		return s
	}
	s.Low, s.High, s.Now = unit(low), unit(high), unit(last)
	s.Label = fmt.Sprintf("%s, last hour: now %s, lowest %s, highest %s", name, s.Now, s.Low, s.High)
	s.Line, s.Area, s.EndX, s.EndY = trace(points, high)
	s.Dot = !math.IsNaN(float64(c[sampleCount-1]))
	return s
}

// coarse puts neighbours together.
func coarse(c curve) []float64 {
	out := make([]float64, sparkPoints)
	per := sampleCount / sparkPoints
	for i := range out {
		out[i] = math.NaN()
		for _, v := range c[i*per : (i+1)*per] {
			if f := float64(v); !math.IsNaN(f) && (math.IsNaN(out[i]) || f > out[i]) {
				out[i] = f
			}
		}
	}
	return out
}

// trace returns the path of points, with gaps, and where it ends. The lowest line
// is zero.
func trace(points []float64, high float64) (line, area string, x, y float64) {
	const top, floor = 3.0, sparkHeight - 1.0
	if high <= 0 {
		high = 1
	}
	var l, a strings.Builder
	start := math.NaN()
	end := func() {
		if !math.IsNaN(start) {
			_, _ = fmt.Fprintf(&a, "L%.1f %.1fL%.1f %.1fZ", x, floor, start, floor)
		}
		start = math.NaN()
	}
	for i, v := range points {
		if math.IsNaN(v) {
			end()
			continue
		}
		verb := "L"
		x, y = float64(i)*sparkWidth/float64(len(points)-1), floor-(floor-top)*v/high
		if math.IsNaN(start) {
			verb, start = "M", x
		}
		_, _ = fmt.Fprintf(&l, "%s%.1f %.1f", verb, x, y)
		_, _ = fmt.Fprintf(&a, "%s%.1f %.1f", verb, x, y)
		if verb == "M" { // a single point is seen as well
			_, _ = fmt.Fprintf(&l, "h.1")
		}
	}
	end()
	return l.String(), a.String(), x, y
}
