package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// levels are those of logs.
var levels = []string{"debug", "info", "warn", "error"}

func newLogCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "Logs of running gateways"}
	cmd.AddCommand(newLogLevelCommand())
	return cmd
}

func newLogLevelCommand() *cobra.Command {
	f := &orderFlags{}
	var stamps []string
	var all bool
	var last time.Duration
	cmd := &cobra.Command{
		Use:   "level [debug|info|warn|error|default]",
		Short: "Show or set the log level of running gateways",
		Long: `Show the log level of the gateways of all stamps, or set it without a restart, in
every replica of a stamp: of the one that is asked, if none is named. It goes back
by itself after --for; 'default' sets it back now. To see it no rights are needed,
to set it those of an operator.
` + orderExits,
		Example: `  ringway log level
  ringway log level debug --for 10m --stamp us-prod --creds anna.creds --server nats://ringway:4222`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return f.levels(cmd)
			}
			if !slices.Contains(cmd.ValidArgs, args[0]) {
				return usageError{fmt.Errorf("%q is not debug, info, warn, error or default", args[0])}
			}
			if last < 0 || last > 24*time.Hour {
				return usageError{fmt.Errorf("--for %s is not between 0 and 24h", last)}
			}
			if err := f.check(); err != nil {
				return err
			}
			is, err := f.from.federation(cmd.Context())
			if err != nil {
				return err
			}
			o := bridge.Order{Verb: bridge.VerbLevel, Level: args[0], For: last}
			if o.Level == "default" {
				o.Level, o.For = "", 0
			}
			for _, s := range stamps {
				o.To = append(o.To, topology.StampID(s))
			}
			for _, r := range is.Stamps {
				if all || len(stamps) == 0 && r.Stamp == is.Asked {
					o.To = append(o.To, r.Stamp)
				}
			}
			return f.give(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	f.add(cmd)
	cmd.Flags().StringSliceVar(&stamps, "stamp", nil, "stamps; none is the one that is asked")
	cmd.Flags().BoolVar(&all, "all-stamps", false, "every stamp")
	cmd.Flags().DurationVar(&last, "for", 10*time.Minute, "for how long, 24h at most; 0 is until it is set again")
	cmd.MarkFlagsMutuallyExclusive("stamp", "all-stamps")
	cmd.ValidArgs = append(slices.Clone(levels), "default")
	return cmd
}

// levels shows the log levels of all stamps that answer.
func (f *orderFlags) levels(cmd *cobra.Command) error {
	if err := f.from.check(); err != nil {
		return err
	}
	is, err := f.from.federation(cmd.Context())
	if err != nil {
		return err
	}
	out := map[topology.StampID]string{}
	for _, r := range is.Stamps {
		if r.Status != nil {
			out[r.Stamp] = r.Status.LogLevel
		}
	}
	return show(cmd.OutOrStdout(), f.output, "LogLevels", out, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "STAMP\tLEVEL") // Flush reports errors
		for _, r := range is.Stamps {
			if level, ok := out[r.Stamp]; ok {
				_, _ = fmt.Fprintf(t, "%s\t%s\n", r.Stamp, level)
			}
		}
		return t.Flush()
	})
}
