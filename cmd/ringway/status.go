package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/gateway"
)

// statusFlags are the flags of status.
type statusFlags struct {
	from           source
	output, format string
	watch, check   bool
	interval       time.Duration
	expect         int
	noColor        bool
}

func newStatusCommand() *cobra.Command {
	f := &statusFlags{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how all stamps are, and why one is not well",
		Long: `Show how all stamps are, as the gateway asked sees them and as they say themselves,
asked over the links. A stamp is up if a canary, which takes the way of events,
got through; not because a connection exists. Below the table is what is wrong:
cause, host:port, the side that dials, and what waits.

Exit codes: 0, 1 if the gateway cannot be asked, 2 for a wrong command line, and
with --check 3 if something is wrong. With --check --format nagios they are those
of a Nagios plug-in: 0 ok, 1 warning, 2 critical, 3 unknown.`,
		Example: `  ringway status
  ringway status -o wide --watch
  ringway status -o json --admin http://127.0.0.1:9222
  ringway status --server nats://ringway:4222 --creds anna.creds
  ringway status --check --format nagios --expect 12
  ringway status --check --format prometheus > /var/lib/node_exporter/ringway.prom`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.from.add(fs)
	outputFlag(cmd, &f.output, outputTable, outputWide, outputJSON, outputYAML, outputName)
	fs.BoolVarP(&f.watch, "watch", "w", false, "show it again and again until interrupted")
	fs.DurationVar(&f.interval, "interval", 2*time.Second, "time between two looks with --watch")
	fs.BoolVar(&f.check, "check", false, "fail if something is wrong")
	f.format = outputText
	fs.Var(choice{&f.format, []string{outputText, "nagios", "prometheus"}}, "format", "with --check: form of the verdict")
	fs.IntVar(&f.expect, "expect", 0, "with --check: how many stamps have to be up, the one asked included; 0 is all that the topology has")
	return cmd
}

func (f *statusFlags) run(cmd *cobra.Command) error {
	f.noColor, _ = cmd.Flags().GetBool(flagNoColor) // every command has it
	switch {
	case f.check && f.watch:
		return usageError{fmt.Errorf("--check and --watch exclude each other")}
	case f.interval < 100*time.Millisecond:
		return usageError{fmt.Errorf("--interval %s is less than 100ms", f.interval)}
	}
	if err := f.from.check(); err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if f.watch {
		return f.follow(cmd.Context(), w)
	}
	is, err := f.ask(cmd.Context())
	if f.check {
		return f.judge(w, is, err)
	}
	if err != nil {
		return err
	}
	return f.print(w, is)
}

func (f *statusFlags) ask(ctx context.Context) (*gateway.Federation, error) {
	is := &gateway.Federation{}
	return is, f.from.ask(ctx, askFederation, is)
}

// follow shows the status again and again. A gateway that cannot be asked is
// said, and tried again.
func (f *statusFlags) follow(ctx context.Context, w io.Writer) error {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	tty := false
	if file, ok := w.(*os.File); ok {
		_, _, tty = terminalSize(file)
	}
	for first := true; ; first = false {
		is, err := f.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case tty:
			_, _ = fmt.Fprint(w, "\x1b[H\x1b[2J") // what follows reports errors
		case !first && f.output != "json":
			_, _ = fmt.Fprintln(w)
		}
		if err == nil {
			err = f.print(w, is)
		} else {
			_, err = fmt.Fprintf(w, "%s %v\n", time.Now().Format(time.TimeOnly), err)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (f *statusFlags) print(w io.Writer, is *gateway.Federation) error {
	switch f.output {
	case "json":
		return printJSON(w, is)
	case "yaml":
		return printYAML(w, is)
	case "name":
		for _, s := range is.Stamps {
			if _, err := fmt.Fprintf(w, "stamp/%s\n", s.Stamp); err != nil {
				return err
			}
		}
		return nil
	}
	return statusTable{wide: f.output == outputWide, color: colors(w, f.noColor), now: is.At}.print(w, is)
}

// colors reports whether w is a terminal on which colours are wanted.
func colors(w io.Writer, off bool) bool {
	file, ok := w.(*os.File)
	if !ok || off || os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, _, tty := terminalSize(file)
	return tty
}
