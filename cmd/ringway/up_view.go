package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/topology"
)

// How often the view looks.
const (
	screenInterval = 200 * time.Millisecond
	plainInterval  = time.Second
)

// A view shows a demonstration: as a screen that is drawn over and over, or as
// lines. It is safe for concurrent use.
type view struct {
	out    io.Writer // of what people look at
	stdout io.Writer
	json   bool
	screen *screen // nil: lines

	mu    sync.Mutex
	began time.Time
	said  []string // waits to be printed above the screen
	drawn int      // lines of the screen now on the terminal
}

// newView returns the view that o asks for. With -o json standard output is
// kept for the summary.
func newView(o upOptions, mesh *topology.Mesh, stdout, stderr io.Writer) *view {
	v := &view{out: stdout, stdout: stdout, json: o.output == "json", began: time.Now()}
	if v.json {
		v.out = stderr
	}
	if f, ok := v.out.(*os.File); ok && !o.plain && !v.json {
		if _, _, tty := terminalSize(f); tty {
			v.screen = &screen{
				mesh: mesh, color: !o.noColor && os.Getenv("NO_COLOR") == "",
				size: func() (width, height int) { width, height, _ = terminalSize(f); return },
			}
		}
	}
	return v
}

// say prints one line that a person should see.
func (v *view) say(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	line = fmt.Sprintf("%7.2fs  %s", time.Since(v.began).Seconds(), line)
	if v.screen != nil {
		v.said = append(v.said, line)
		return
	}
	_, _ = fmt.Fprintln(v.out, line) // a view that cannot be seen stops nothing
}

// ready prints where each stamp's NATS and HTTP are, and its gateway.
func (v *view) ready(stamps []demo.StampInfo, after time.Duration) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, s := range stamps {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s/%s\t%s\n", s.Name, s.URL, s.REST, s.Admin, s.Geo, s.Ring, kind(s))
	}
	_ = t.Flush()
	v.say(fmt.Sprintf("ready after %.2f s; NATS and HTTP for the clients of each stamp, and --admin of its gateway:", after.Seconds()))
	for line := range strings.Lines(b.String()) {
		v.say("  " + strings.TrimRight(line, "\n"))
	}
	if url := console(stamps); url != "" {
		v.say("console, for a browser: " + url)
	}
}

// console returns the pages of a control plane's gateway, which all others tell
// how they are.
func console(stamps []demo.StampInfo) string {
	for _, s := range stamps {
		if s.Control && s.Admin != "" {
			return s.Admin + "/console/"
		}
	}
	return ""
}

// kind says what a stamp is.
func kind(s demo.StampInfo) string {
	if s.Control {
		return s.Link + ", control plane"
	}
	return s.Link
}

// follow shows what snapshot returns until ctx is cancelled.
func (v *view) follow(ctx context.Context, snapshot func() demo.Snapshot) {
	every := plainInterval
	if v.screen != nil {
		every = screenInterval
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.draw(snapshot())
		case <-ctx.Done():
			if v.screen != nil {
				v.draw(snapshot())
			}
			return
		}
	}
}

// draw shows one moment.
func (v *view) draw(s demo.Snapshot) {
	if v.screen == nil {
		v.say(plainLine(s))
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	frame := v.screen.frame(s, time.Since(v.began))
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for _, line := range v.said {
		b.WriteString(line + "\x1b[K\n")
	}
	for _, line := range frame {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	v.said, v.drawn = nil, len(frame)
	_, _ = io.WriteString(v.out, b.String())
}

// plainLine is one moment as one line.
func plainLine(s demo.Snapshot) string {
	r := s.Report
	down := 0
	for _, l := range s.Links {
		if !l.Up {
			down++
		}
	}
	line := fmt.Sprintf("%-8s sent %d delivered %d on the way %d duplicated %d", s.Phase, r.Sent, r.Delivered, r.Lost, r.Duplicated)
	line += fmt.Sprintf(" delay p50 %s p99 %s", millis(r.DelayMS.P50), millis(r.DelayMS.P99))
	if down > 0 {
		line += fmt.Sprintf(" links down %d", down)
	}
	return line
}

// summary prints how it ended.
func (v *view) summary(s demo.Summary) error {
	if v.json {
		return printJSON(v.stdout, document{"Summary", s})
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.print()
	var b strings.Builder
	fmt.Fprintf(&b, "\nsent %d  delivered %d  lost %d  duplicated %d\n", s.Sent, s.Delivered, s.Lost, s.Duplicated)
	fmt.Fprintf(&b, "delay p50 %s  p99 %s  max %s\n", millis(s.DelayMS.P50), millis(s.DelayMS.P99), millis(s.DelayMS.Max))
	fmt.Fprintf(&b, "sequences %d started, %d completed; tasks %d; answers after Keptn had closed their task %d\n",
		s.Sequences, s.Completed, s.Tasks, s.Late)
	for _, c := range s.Cuts {
		fmt.Fprintln(&b, cutLine(c))
	}
	for _, f := range faults(s) {
		fmt.Fprintln(&b, f)
	}
	_, err := io.WriteString(v.stdout, b.String())
	return err
}

// flush prints what has been said since the screen was last drawn.
func (v *view) flush() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.print()
}

// print does the same. v.mu is held.
func (v *view) print() {
	for _, line := range v.said {
		_, _ = fmt.Fprintln(v.out, line)
	}
	v.said = nil
}

// cutLine sums one cut up.
func cutLine(c demo.Outage) string {
	line := fmt.Sprintf("cut %s for %s: %d events waited", c.Stamp, millis(c.CutMS), c.Waited)
	if c.FirstMS != nil {
		line += fmt.Sprintf("; the first event came %s after the heal", millis(*c.FirstMS))
	}
	if c.DrainedMS != nil {
		line += fmt.Sprintf(", the last that had waited after %s", millis(*c.DrainedMS))
	}
	if c.Missing > 0 {
		line += fmt.Sprintf("; %d never came", c.Missing)
	}
	return line
}

// faults says what should not have been.
func faults(s demo.Summary) []string {
	var out []string
	for _, f := range []struct {
		n    int
		what string
	}{
		{s.Lost, "lost: sent and never seen"},
		{s.Duplicated, "duplicated: seen twice in one stamp"},
		{s.Misrouted, "misrouted: seen in a stamp that must not see it"},
		{s.Altered, "altered: seen with another body"},
		{s.Disordered, "disordered: overtaken by a later event of the same sequence"},
		{s.Unknown, "unknown: seen, but sent by nobody here"},
		{s.Hung, "hung: tasks that never completed"},
	} {
		if f.n > 0 {
			out = append(out, fmt.Sprintf("! %d %s", f.n, f.what))
		}
	}
	if s.Foreign > 0 {
		out = append(out, fmt.Sprintf("%d times an event of yours was seen", s.Foreign))
	}
	if s.Unrouted > 0 {
		out = append(out, fmt.Sprintf("%d of %d tasks had no stamp to go to: their stage takes no such event (see --data)", s.Unrouted, s.Tasks))
	}
	return out
}

// millis writes milliseconds for people.
func millis(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f s", ms/1000)
}
