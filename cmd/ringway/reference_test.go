package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// eachTyped calls f for every command that a person types, in order.
func eachTyped(f func(*cobra.Command)) {
	each(newRootCommand(), func(c *cobra.Command) {
		if !c.Hidden && !strings.HasPrefix(c.CommandPath(), "ringway completion ") {
			f(c)
		}
	})
}

// TestReferenceIsUpToDate compares docs/cli.md with the commands; UPDATE=1
// rewrites it.
func TestReferenceIsUpToDate(t *testing.T) {
	const file = "../../docs/cli.md"
	var b bytes.Buffer
	b.WriteString(`# Command line

Every verb of ` + "`ringway`" + `. This page is made from the code, as is ` + "`ringway VERB --help`" + `; a test compares them. ` + "`make man`" + ` writes manual
pages into ` + "`man/`" + `, and ` + "`ringway completion bash|zsh|fish|powershell`" + ` lets a shell complete verbs, flags, and the names of stamps, rings
and geos from the topology file.

| verb | |
|---|---|
`)
	eachTyped(func(c *cobra.Command) {
		if c.Runnable() {
			fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
		}
	})
	eachTyped(func(c *cobra.Command) {
		if c.Runnable() || !c.HasParent() {
			section(&b, c)
		}
	})
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644)) //nolint:gosec // a document
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(got), "run UPDATE=1 go test ./cmd/ringway -run Reference")
}

func section(b *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	fmt.Fprintf(b, "```text\n%s\n```\n", long)
	if c.Runnable() {
		fmt.Fprintf(b, "\nUsage: `%s`\n", c.UseLine())
	}
	if c.Example != "" {
		lines := strings.Split(c.Example, "\n")
		for i := range lines {
			lines[i] = strings.TrimPrefix(lines[i], "  ")
		}
		fmt.Fprintf(b, "\n```sh sketch\n%s\n```\n", strings.Join(lines, "\n"))
	}
	if c.CommandPath() == "ringway run" {
		b.WriteString("\nFlags: `--config FILE`, and one for each key of [gateway.yaml](gateway.md).\n")
		return
	}
	flags(b, c)
}

// flags writes the flags of c: its own, and those of the verb above it, but not
// those that all have.
func flags(b *bytes.Buffer, c *cobra.Command) {
	head := "\n| flag | default | |\n|---|---|---|\n"
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	all.AddFlagSet(c.NonInheritedFlags())
	all.AddFlagSet(c.InheritedFlags())
	all.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || c.HasParent() && c.Root().PersistentFlags().Lookup(f.Name) != nil {
			return
		}
		b.WriteString(head)
		head = ""
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if of := f.Value.Type(); of != "bool" {
			name += " " + of
		}
		value := ""
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			value = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(b, "| %s` | %s | %s |\n", strings.ReplaceAll(name, "|", "\\|"), value, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}

// TestManPages writes a manual page for every command; MAN=DIR says where to.
// It is a test so that what makes them is no part of the program.
func TestManPages(t *testing.T) {
	dir := os.Getenv("MAN")
	if dir == "" {
		dir = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(dir, 0o755)) //nolint:gosec // documents
	date := time.Unix(0, 0).UTC()               // the same every time
	head := &doc.GenManHeader{Title: "RINGWAY", Section: "1", Source: "Ringway", Manual: "Ringway", Date: &date}
	root := newRootCommand()
	root.DisableAutoGenTag = true
	require.NoError(t, doc.GenManTree(root, head, dir))
	eachTyped(func(c *cobra.Command) {
		page, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		require.NoError(t, err)
		for _, part := range []string{".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"} {
			require.Contains(t, string(page), part, c.CommandPath())
		}
		if c.Runnable() {
			require.Contains(t, string(page), ".SH EXAMPLE", c.CommandPath())
			require.Contains(t, strings.ToLower(string(page)), "exit codes", c.CommandPath())
		}
	})
}
