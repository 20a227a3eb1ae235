package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/internal/yamlfile"
)

// The forms in which verbs print.
const (
	outputTable = "table"
	outputText  = "text"
	outputJSON  = "json"
	outputYAML  = "yaml"
	outputName  = "name"
	outputWide  = "wide"
)

// A choice is the value of a flag that takes one of a few words. Another word is
// a wrong command line, told before anything is done.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string { return *c.value }

// Type is what the help shows as the flag's value.
func (c choice) Type() string { return strings.Join(c.of, "|") }

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		last := len(c.of) - 1
		return fmt.Errorf("it is not %s or %s", strings.Join(c.of[:last], ", "), c.of[last])
	}
	*c.value = s
	return nil
}

// outputFlag adds -o to a command; the first form is the default.
func outputFlag(cmd *cobra.Command, output *string, forms ...string) {
	*output = forms[0]
	cmd.Flags().VarP(choice{output, forms}, "output", "o", "form of what is printed")
}

// show writes v as output says, for programs as a document of a kind; text writes
// it for people.
func show(w io.Writer, output, kind string, v any, text func(io.Writer) error) error {
	switch output {
	case outputJSON:
		return printJSON(w, document{kind, v})
	case outputYAML:
		return printYAML(w, document{kind, v})
	}
	return text(w)
}

// A document says what it is, beside what it holds: an object keeps its keys, and
// of a list they are the items.
type document struct {
	kind string // empty: v says so itself
	v    any
}

// MarshalJSON implements json.Marshaler.
func (d document) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(d.v)
	if err != nil || d.kind == "" {
		return b, err
	}
	const head = `{"apiVersion":"ringway/v1","kind":`
	switch text := string(b); {
	case text == "null":
		return fmt.Appendf(nil, `%s%q,"items":[]}`, head, d.kind+"List"), nil
	case text == "{}":
		return fmt.Appendf(nil, `%s%q}`, head, d.kind), nil
	case text[0] == '[':
		return fmt.Appendf(nil, `%s%q,"items":%s}`, head, d.kind+"List", text), nil
	default:
		return fmt.Appendf(nil, `%s%q,%s`, head, d.kind, text[1:]), nil
	}
}

// namesOf prints a name a line, for scripts, and nothing if there is none.
func namesOf[T any](w io.Writer, all []T, name func(T) string) error {
	for _, v := range all {
		if _, err := fmt.Fprintln(w, name(v)); err != nil {
			return err
		}
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printYAML writes v with the keys that it has as JSON.
func printYAML(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	if b, err = yamlfile.Marshal(plain); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// hint tells a person at the terminal what to do next, or what was left out. It
// goes to standard error, since it is no data, and -q silences it.
func hint(cmd *cobra.Command, format string, args ...any) {
	if quiet, err := cmd.Flags().GetBool(flagQuiet); err == nil && quiet {
		return
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) // nobody is left to tell
}
