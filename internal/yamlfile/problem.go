package yamlfile

import (
	"fmt"
	"strings"
)

// A Problem is one thing wrong with a file.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1; 0 if it is not known
	Col  int    `json:"col,omitempty"`
	Path string `json:"path,omitempty"` // of the value, as "stamps[2].link.via"; empty for the whole file
	Msg  string `json:"message"`        // what is wrong
	Hint string `json:"hint,omitempty"` // what would be right; may be empty
}

// Error returns the problem as file:line:column: path: what is wrong (hint).
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Col)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Msg)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems is everything wrong with a file, in order of the file. It is an
// error if it is not empty.
type Problems []Problem

// Error returns one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// add appends a problem, unless there are so many that nobody reads them; the
// last one then says so.
func (ps Problems) add(p Problem) Problems {
	if len(ps) < maxProblems {
		return append(ps, p)
	}
	if len(ps) == maxProblems {
		return append(ps, Problem{File: p.File, Line: p.Line, Col: p.Col, Msg: "there is more wrong from here on", Hint: "mend the above first"})
	}
	return ps
}
