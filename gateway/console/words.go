package console

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

const day = 24 * time.Hour

// brief writes a duration for people: two units at most.
func brief(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Millisecond:
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64) + " ms"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < day:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d < 30*day:
		return fmt.Sprintf("%d d %d h", int(d/day), int(d.Hours())%24)
	}
	return fmt.Sprintf("%d d", int(d/day))
}

// span writes how far back a chart looks, in whole minutes.
func span(d time.Duration) string { return fmt.Sprintf("%d min", int(math.Ceil(d.Minutes()))) }

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Microsecond) // no more is known
}

// delayWord and rateWord write the values of charts.
func delayWord(s float64) string { return brief(seconds(s)) }

func rateWord(v float64) string {
	switch {
	case v == 0:
		return "0/s"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
	}
	return strconv.FormatFloat(math.Round(v), 'f', 0, 64) + "/s"
}

// length writes a duration that is in a document as text.
func length(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil || d == 0 {
		return "–"
	}
	return brief(d)
}

// ago says for how long something has been; a dash for the zero time.
func ago(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return brief(time.Since(t)) + " ago"
}

// left says until when something counts.
func left(t time.Time) string {
	d := time.Until(t)
	if d <= 0 {
		return "expired " + brief(d) + " ago"
	}
	return "in " + brief(d)
}

// stamped writes a time for a datetime attribute, or a tooltip.
func stamped(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// clock writes the time of day, with the day if that is not today's.
func clock(t time.Time) string {
	t = t.UTC()
	if now := time.Now().UTC(); now.YearDay() != t.YearDay() || now.Year() != t.Year() {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("15:04:05.000")
}

// plural writes n things.
func plural[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
