package console

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSamplesAreRates(t *testing.T) {
	t.Parallel()
	s, now := newSamples(), time.Now()
	for i, delivered := range []float64{100, 110, 130, 5, 10} { // the process that counts began again
		s.add(Sample{Delivered: delivered}, now.Add(time.Duration(i)*sampleEvery))
	}
	_, c := s.rates()
	last := c[sampleCount-5:]
	require.True(t, math.IsNaN(float64(last[0])), "one figure is no rate")
	require.InDelta(t, 2, last[1], 1e-6)
	require.InDelta(t, 4, last[2], 1e-6)
	require.True(t, math.IsNaN(float64(last[3])))
	require.InDelta(t, 1, last[4], 1e-6)
}

func TestSamplesAreBounded(t *testing.T) {
	t.Parallel()
	s, now := newSamples(), time.Now()
	all := map[string]float64{}
	for i := range maxPeers + 10 {
		all[fmt.Sprint(i)] = 1
	}
	s.add(Sample{Delay: all}, now)
	require.Len(t, s.delays(), maxPeers)
	for i := range 2 * sampleCount {
		s.add(Sample{Delay: map[string]float64{"one": float64(i)}}, now)
	}
	require.Len(t, s.delays(), 1, "what has not been seen for an hour is forgotten")
	c, ok := s.delayTo("one")
	require.True(t, ok)
	require.InDelta(t, 2*sampleCount-1, c[sampleCount-1], 0)
	require.InDelta(t, sampleCount, c[0], 0)
}

func TestSparkSaysItsFigures(t *testing.T) {
	t.Parallel()
	c := *empty()
	require.Equal(t, "Delay, last hour: no figures yet", draw("Delay", c, delayWord).Label)
	c[sampleCount-200], c[sampleCount-1] = 0.25, 0.018
	s := draw("Delay", c, delayWord)
	require.Equal(t, "Delay, last 17 min: now 18 ms, lowest 18 ms, highest 250 ms", s.Label)
	require.Regexp(t, `^M0\.0 3\.0h\.1M240\.0 \S+h\.1$`, s.Line, "a gap is a gap")
	c[sampleCount-1] = c[0]
	require.Contains(t, draw("Delay", c, delayWord).Label, "now none")
}

func TestBrief(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 250 * time.Microsecond: "0.25 ms", 3100 * time.Microsecond: "3.1 ms", 210 * time.Millisecond: "210 ms",
		4 * time.Second: "4.0 s", 42 * time.Second: "42 s", 372 * time.Second: "6 min 12 s", 25 * time.Hour: "1 d 1 h", 301 * day: "301 d",
	} {
		require.Equal(t, want, brief(d))
	}
}
