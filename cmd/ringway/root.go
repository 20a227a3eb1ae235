package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // something failed
	exitUsage  = 2 // the command line, a topology or a gateway.yaml is wrong
	exitChecks = 3 // a check did not hold
	exitChange = 4 // topology plan --detailed-exitcode found changes
)

// A usageError reports a command line or configuration that cannot be meant.
// Trying again cannot help.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// An exitCode ends a verb that has told all there is to tell.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// errReported reports a failure that the verb has already told about.
var errReported = errors.New("failed")

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	running := false
	each(root, func(c *cobra.Command) {
		if c.RunE == nil && c.HasParent() && c.HasSubCommands() {
			c.RunE = runGroup
		}
		if run := c.RunE; run != nil {
			c.RunE = func(c *cobra.Command, args []string) error {
				running = true
				return run(c, args)
			}
		}
	})
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	var code exitCode
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errReported):
		return exitFailed
	case topology.AsProblems(err) != nil:
		_, _ = fmt.Fprintf(stderr, "ringway: %v\n", err) // nobody is left to tell
		return exitUsage
	case running && !errors.As(err, &usage):
		_, _ = fmt.Fprintf(stderr, "ringway: %v\n", err)
		return exitFailed
	default: // what cobra finds before a verb runs is about the command line
		_, _ = fmt.Fprintf(stderr, "ringway: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	}
}

// newRootCommand returns the command with all its verbs.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "ringway",
		Short: "A federation of Keptn over NATS",
		Long:  rootLong,
		Example: `  ringway up
  ringway topology validate -f topology.yaml
  ringway status --watch
  ringway doctor --all-stamps`,
		Version:       gateway.Version(), // --version, where people look for it first
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newUpCommand(),
		newRunCommand(),
		newTopologyCommand(),
		newAuthCommand(),
		newEventsCommand(),
		newPlanesCommand(),
		newStatusCommand(),
		newDoctorCommand(),
		newStampCommand(),
		newRingCommand(),
		newLogCommand(),
		newContextCommand(),
		newProbeCommand(),
		newVersionCommand(),
	)
	root.SetVersionTemplate("ringway {{.Version}}\n")
	for _, c := range root.Commands() {
		addContexts(c)
	}
	finish(root)
	return root
}

// runGroup stands in for a verb that was left out or does not exist.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())}
	}
	return cmd.Help()
}

// each calls f for c and every command below it.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		each(sub, f)
	}
}
