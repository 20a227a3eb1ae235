package console

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	sparkWidth  = 240
	sparkHeight = 48
	sparkPoints = 120 // of a curve's samples, each is the highest of some
	sparkLeast  = 24  // samples: a chart looks back two minutes at least
)

// A spark is a small chart.
type spark struct {
	Name  string // what it shows
	Link  string // of the stamp that it is about; empty for none
	Line  string // of an SVG path
	Area  string // the same, closed below
	Now   string
	Low   string
	High  string
	Label string // the figures in words
	Span  string // how far back it looks
}

// draw makes a chart of c. unit writes a value.
func draw(name string, c curve, unit func(float64) string) spark {
	s := spark{Name: name, Now: "–", Low: "–", High: "–", Span: "hour"}
	low, high, last, first := math.Inf(1), math.Inf(-1), math.NaN(), sampleCount
	for i, v := range c {
		if f := float64(v); !math.IsNaN(f) {
			low, high, last, first = min(low, f), max(high, f), f, min(first, i)
		}
	}
	if math.IsNaN(last) {
		s.Label = name + ", last hour: no figures yet"
		return s
	}
	known := c[:]
	if first > 0 {
		known = c[min(first, sampleCount-sparkLeast):]
		s.Span = span(time.Duration(len(known)) * sampleEvery)
	}
	s.Low, s.High, s.Now = unit(low), unit(high), unit(last)
	if math.IsNaN(float64(c[sampleCount-1])) {
		s.Now = "–"
	}
	s.Label = fmt.Sprintf("%s, last %s: now %s, lowest %s, highest %s", name, s.Span, strings.Replace(s.Now, "–", "none", 1), s.Low, s.High)
	s.Line, s.Area = trace(coarse(known), high)
	return s
}

// coarse puts neighbours together where there are more than fit.
func coarse(known []float32) []float64 {
	n := min(len(known), sparkPoints)
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
		for _, v := range known[i*len(known)/n : (i+1)*len(known)/n] {
			if f := float64(v); !math.IsNaN(f) && (math.IsNaN(out[i]) || f > out[i]) {
				out[i] = f
			}
		}
	}
	return out
}

// trace returns the path of points, with gaps, and what is below it. The lowest
// line is zero.
func trace(points []float64, high float64) (line, area string) {
	const top, floor = 3.0, sparkHeight - 1.0
	if high <= 0 {
		high = 1
	}
	var l, a strings.Builder
	x, y, start := 0.0, 0.0, math.NaN()
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
	return l.String(), a.String()
}
