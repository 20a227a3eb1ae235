package bench_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A row is one line of the table.
type row struct {
	what    string // is measured
	figure  string // and came out
	against string // the baseline, and what it came to
	ratio   string // or difference, with its spread
	bar     string // "" for a line that only informs
	met     bool
	command string // that measures it
}

func (r row) verdict() string {
	switch {
	case r.bar == "":
		return ""
	case r.met:
		return "ok"
	}
	return "**missed**"
}

func (r row) String() string {
	return "| " + strings.Join([]string{r.what, r.figure, r.against, r.ratio, r.bar, r.verdict(), "`" + r.command + "`"}, " | ") + " |"
}

// table collects rows. It is safe for concurrent use.
type table struct {
	mu   sync.Mutex
	rows []row
}

// report is the table of this run.
var report table

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// atMost makes the row of a ratio that must not exceed bar.
func atMost(s spread, bar float64) (ratio, text string, met bool) {
	return s.times(), fmt.Sprintf("≤ %.4g ×", bar), s.mid <= bar
}

// atLeast makes the row of a ratio that must reach bar.
func atLeast(s spread, bar float64) (ratio, text string, met bool) {
	return s.times(), fmt.Sprintf("≥ %.4g ×", bar), s.mid >= bar
}

func (s spread) times() string {
	return fmt.Sprintf("%.3g × (%.3g to %.3g)", s.mid, s.low, s.high)
}

const tableHead = "| measured | Ringway | baseline | ratio: median (range of turns) | bar | | command |\n|---|---|---|---|---|---|---|\n"

// The document's table lies between these lines.
const (
	tableBegin = "<!-- table: written by UPDATE=1 make bench -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

// publish prints the table, and with UPDATE=1 puts its rows into the document
// in the place of earlier ones of the same name.
func (t *table) publish() error {
	if len(t.rows) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString(tableHead)
	for _, r := range t.rows {
		b.WriteString(r.String() + "\n")
	}
	fmt.Printf("\n%s\n%s %s/%s, %d cores\n\n", b.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if os.Getenv("UPDATE") == "" {
		return nil
	}
	return t.update(filepath.Join("..", "..", "docs", "benchmarks.md"))
}

func (t *table) update(file string) error {
	doc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok1 := bytes.Cut(doc, []byte(tableBegin))
	old, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok1 || !ok2 {
		return errors.New(file + " has no table")
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(string(old), tableHead), "\n"), "\n")
	for _, r := range t.rows {
		name := "| " + r.what + " |"
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, name) })
		if i < 0 {
			lines = append(lines, r.String())
			continue
		}
		lines[i] = r.String()
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
	slices.Sort(lines)
	out := string(before) + tableBegin + tableHead + strings.Join(lines, "\n") + "\n" + tableEnd + string(after)
	return os.WriteFile(file, []byte(out), 0o600)
}
