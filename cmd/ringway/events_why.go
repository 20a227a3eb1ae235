package main

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway"
)

func newWhyCommand() *cobra.Command {
	var from source
	var output string
	cmd := &cobra.Command{
		Use:   "why ID",
		Short: "Tell what became of an event, over all stamps",
		Long: `Tell what became of an event: the one with this id and the answers to it, or all
that have this shkeptncontext. Every stamp is asked for what its gateway remembers
(the last events.journal steps), and for how things are now: what is held for whom,
what waits and why, how far tasks have come, dead letters. Times are UTC.

Exit codes: 0, 1 if no stamp knows the event or the gateway cannot be asked, 2 for a
wrong command line.`,
		Example: `  ringway events why 7ef184dd-f821-48a2-a59e-b977694e9a61
  ringway events why 7ef184dd-f821-48a2-a59e-b977694e9a61 -o json
  ringway events why a3e5f16d-8888-4720-82c7-6995062905c1 --server nats://ringway:4222 --creds anna.creds`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(); err != nil {
				return err
			}
			var s gateway.Story
			what := [2]string{"/events/why?id=" + url.QueryEscape(args[0]), bridge.ShowStory}
			if err := from.query(cmd.Context(), what, map[string]string{"match": args[0]}, &s); err != nil {
				return err
			}
			if !s.Known() {
				return unknownEvent(&s)
			}
			return printStory(cmd.OutOrStdout(), &s, output)
		},
	}
	from.add(cmd.Flags())
	outputFlag(cmd, &output, outputTable, outputWide, outputJSON, outputYAML, outputName)
	return cmd
}

// unknownEvent says that nobody knows an event, and who was not heard.
func unknownEvent(s *gateway.Story) error {
	text := fmt.Sprintf("no stamp knows an event with id or shkeptncontext %s: it was never published, or it is over and older than what the gateways remember (events.journal)", s.Match)
	for _, q := range s.Silent {
		text += fmt.Sprintf("\n  %s was not heard: %s", q.Stamp, q.Err)
	}
	return fmt.Errorf("%s", text)
}

func printStory(w io.Writer, s *gateway.Story, output string) error {
	return show(w, output, "", s, func(w io.Writer) error {
		if output != outputName {
			return storyTable{wide: output == outputWide}.print(w, s)
		}
		for _, e := range s.Events {
			if _, err := fmt.Fprintf(w, "event/%s\n", e.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// A storyTable shows a story for people. It reads no clock.
type storyTable struct{ wide bool }

func (t storyTable) print(w io.Writer, s *gateway.Story) error {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	head := []string{"TIME", "WHERE", "WHAT"}
	if t.wide {
		head = []string{"TIME", "WHERE", "STEP", "TYPE", "ID", "WHAT"}
	}
	_, _ = fmt.Fprintln(tw, strings.Join(head, "\t")) // a buffer takes everything
	several := len(s.Events) > 1 && !t.wide
	for i := range s.Entries {
		_, _ = fmt.Fprintln(tw, strings.Join(t.row(&s.Entries[i], t.time(s.Entries[i].Time, s.At), several), "\t"))
	}
	for i := range s.Now {
		_, _ = fmt.Fprintln(tw, strings.Join(t.row(&s.Now[i], "now", several), "\t"))
	}
	_ = tw.Flush()
	for _, q := range s.Silent {
		_, _ = fmt.Fprintf(&b, "%s: not heard: %s\n", q.Stamp, q.Err)
	}
	if s.Cut {
		_, _ = fmt.Fprintln(&b, "there is more than is told, or was found in time: ask for one event by its id, or look again")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// time is in short of the day on which it is asked.
func (t storyTable) time(at, asked time.Time) string {
	switch {
	case t.wide:
		return at.UTC().Format("2006-01-02T15:04:05.000Z")
	case at.UTC().Format(time.DateOnly) != asked.UTC().Format(time.DateOnly):
		return at.UTC().Format("01-02 15:04:05")
	}
	return at.UTC().Format(time.TimeOnly)
}

func (t storyTable) row(e *journal.Entry, at string, several bool) []string {
	e.Say() // what another version says is said again as here
	if t.wide {
		id := e.ID
		if id == "" {
			id = "-"
		}
		return []string{at, e.Where, string(e.Step), e.Type, id, e.What}
	}
	what := e.What
	if several && !slices.Contains([]bridge.Step{bridge.StepCaptured, bridge.StepStarted, bridge.StepBarrier, bridge.StepFinished}, e.Step) {
		what = shortType(e.Type) + ": " + what
	}
	return []string{at, e.Where, what}
}

// shortType leaves out what all of Keptn's types begin with.
func shortType(typ string) string { return strings.TrimPrefix(typ, "sh.keptn.event.") }
