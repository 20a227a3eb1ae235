package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/plane"
)

func newPlanesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "planes",
		Short: "Look at execution planes: what runs where, and how it is",
		Long: `Look at execution planes. A stamp knows its own, and what the stamps it exchanges
events with last said of theirs; ask that of a control plane for all of them.`,
	}
	from := &source{}
	from.add(cmd.PersistentFlags())
	cmd.AddCommand(newPlanesListCommand(from), newPlanesShowCommand(from))
	return cmd
}

func newPlanesListCommand(from *source) *cobra.Command {
	var output, stamp string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List planes by stamp",
		Example: "  ringway planes list --stamp us-prod -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := from.planes(cmd.Context())
			if err != nil {
				return err
			}
			if stamp != "" {
				all = slices.DeleteFunc(all, func(c plane.Copy) bool { return string(c.Stamp) != stamp })
			}
			return show(cmd.OutOrStdout(), output, "StampPlanes", all, func(w io.Writer) error {
				if output == outputName {
					return namePlanes(w, all)
				}
				return printPlanes(w, all, output == outputWide)
			})
		},
	}
	outputFlag(cmd, &output, outputTable, outputWide, outputJSON, outputYAML, outputName)
	cmd.Flags().StringVar(&stamp, "stamp", "", "only planes of this stamp")
	return cmd
}

func printPlanes(w io.Writer, all []plane.Copy, wide bool) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	head := "STAMP\tNAME\tNAMESPACE\tHOW\tSTATE\tSEEN\tSUBSCRIPTIONS\tHEARD"
	if wide {
		head += "\tSINCE\tID\tREASON"
	}
	_, _ = fmt.Fprintln(t, head) // Flush reports errors
	n := 0
	for _, c := range all {
		for _, p := range c.Planes {
			n++
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", p.Stamp, p.Name, p.Namespace, how(p), p.State,
				ago(p.Seen), events(p.Subscriptions), ago(c.At))
			if wide {
				_, _ = fmt.Fprintf(t, "\t%s\t%s\t%s", ago(p.Since), p.ID, cmp.Or(p.Reason, "-"))
			}
			_, _ = fmt.Fprintln(t)
		}
	}
	if n == 0 {
		_, err := fmt.Fprintln(w, "no planes")
		return err
	}
	return t.Flush()
}

// namePlanes prints planes as stamp/name, for scripts.
func namePlanes(w io.Writer, all []plane.Copy) error {
	for _, c := range all {
		for _, p := range c.Planes {
			if _, err := fmt.Fprintf(w, "%s/%s\n", p.Stamp, p.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// planes asks for all planes that a gateway knows of.
func (s *source) planes(ctx context.Context) (all []plane.Copy, err error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return all, s.ask(ctx, [2]string{"/planes", bridge.ShowPlanes}, &all)
}

// planes returns what a gateway knows of live planes.
func (c *adminClient) planes(ctx context.Context) (*bridge.Planes, error) {
	var all []plane.Copy
	if err := c.call(ctx, http.MethodGet, "/planes", &all); err != nil {
		return nil, err
	}
	return plane.Takers(all), nil
}

func ago(t time.Time) string { return max(time.Since(t), 0).Round(time.Second).String() + " ago" }

func how(p plane.Plane) string {
	if p.Via != "" {
		return string(p.How) + ", " + string(p.Via)
	}
	return string(p.How)
}

// events says in one line what subscriptions are about.
func events(subs []plane.Subscription) string {
	out := make([]string, 0, len(subs))
	for _, s := range subs {
		out = append(out, strings.TrimPrefix(s.Event, "sh.keptn.event.")+scope(s.Filter))
	}
	return cmp.Or(strings.Join(out, " "), "-")
}

// scope says what a filter lets through; nothing if that is everything.
func scope(f plane.Filter) string {
	var parts []string
	for _, l := range [][]string{f.Projects, f.Stages, f.Services} {
		parts = append(parts, cmp.Or(strings.Join(l, ","), "*"))
	}
	if text := strings.Join(parts, "/"); text != "*/*/*" {
		return "[" + text + "]"
	}
	return ""
}

func newPlanesShowCommand(from *source) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show NAME|ID",
		Short:   "Show planes of a name, or one by its id",
		Example: "  ringway planes show helm-service",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := from.planes(cmd.Context())
			if err != nil {
				return err
			}
			var found []plane.Plane
			for _, c := range all {
				for _, p := range c.Planes {
					if p.Name == args[0] || p.ID == args[0] {
						found = append(found, p)
					}
				}
			}
			if len(found) == 0 {
				return fmt.Errorf("no plane has name or id %q: see ringway planes list", args[0])
			}
			return show(cmd.OutOrStdout(), output, "Plane", found, func(w io.Writer) error { return showPlanes(w, found) })
		},
	}
	outputFlag(cmd, &output, outputTable, outputJSON, outputYAML)
	return cmd
}

func showPlanes(w io.Writer, all []plane.Plane) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, p := range all {
		if i > 0 {
			_, _ = fmt.Fprintln(t) // Flush reports errors
		}
		state := string(p.State)
		if !p.Since.IsZero() {
			state += " since " + p.Since.Format(time.RFC3339) + ": " + p.Reason
		}
		for _, line := range [][2]string{
			{"stamp", string(p.Stamp)},
			{"name", p.Name},
			{"namespace", p.Namespace},
			{"own namespace", p.Own},
			{"caller", p.Caller},
			{"hostname", p.Hostname},
			{"version", p.Version},
			{"id", p.ID},
			{"how", how(p)},
			{"state", state},
			{"seen", ago(p.Seen)},
		} {
			if line[1] != "" {
				_, _ = fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
			}
		}
		for _, s := range p.Subscriptions {
			_, _ = fmt.Fprintf(t, "subscription\t%s %s %s\n", s.ID, s.Event, scope(s.Filter))
		}
	}
	return t.Flush()
}
