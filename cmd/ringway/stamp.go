package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

const orderExits = `
Exit codes: 0; 1 if a stamp did not carry it out or did not answer; 2 for a wrong
command line. It may be given again.`

func newStampCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "stamp", Short: "Hold and let go what begins in a stamp, and see who did"}
	cmd.AddCommand(newFreezeCommand(), newDrainCommand(), newResumeCommand(), newHistoryCommand())
	return cmd
}

var errNoReason = usageError{errors.New("say why: --reason")}

func newFreezeCommand() *cobra.Command {
	f := &orderFlags{}
	cmd := &cobra.Command{
		Use:   "freeze STAMP --reason WHY",
		Short: "Hold what begins something new in a stamp",
		Long: `Hold every task and sequence .triggered that arrives in a stamp, until it is
resumed. It is stored there, in order, has no limit of age, and outlives restarts.
Answers, life-cycle events and reports pass, so that what runs can end. A task that
any of several stamps may do goes to another.
` + orderExits,
		Example: `  ringway stamp freeze us-prod --reason "node upgrade" --creds anna.creds --server nats://ringway:4222`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.reason == "" {
				return errNoReason
			}
			return f.one(cmd, args[0], bridge.VerbFreeze)
		},
	}
	f.add(cmd)
	return cmd
}

func newResumeCommand() *cobra.Command {
	f := &orderFlags{}
	cmd := &cobra.Command{
		Use:     "resume STAMP",
		Short:   "Let go of what a stamp holds, in order",
		Long:    "Let go of what a stamp holds since it was frozen or drained, in order of arrival.\n" + orderExits,
		Example: "  ringway stamp resume us-prod --creds anna.creds --server nats://ringway:4222",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.one(cmd, args[0], bridge.VerbResume) },
	}
	f.add(cmd)
	return cmd
}

// one gives an order to one stamp.
func (f *orderFlags) one(cmd *cobra.Command, stamp string, v bridge.Verb) error {
	if err := f.check(); err != nil {
		return err
	}
	to, err := f.from.oneStamp(cmd.Context(), stamp)
	if err != nil {
		return err
	}
	return f.give(cmd.Context(), cmd.OutOrStdout(), bridge.Order{Verb: v, To: []topology.StampID{to}})
}

func newDrainCommand() *cobra.Command {
	f := &orderFlags{}
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drain STAMP --reason WHY",
		Short: "Hold what begins something new in a stamp, and wait until what runs has ended",
		Long: `Hold what begins something new in a stamp, as freeze does, for its maintenance or
removal. With --wait, say when nothing runs there any more: no task is started and
not finished, nothing waits for the stamp or in it, but what is held. What is held
stays there until the stamp is resumed.
` + orderExits,
		Example: `  ringway stamp drain us-prod --reason "move to new nodes" --wait --timeout 30m --creds anna.creds --server nats://ringway:4222`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.reason == "" {
				return errNoReason
			}
			if timeout <= 0 {
				return usageError{fmt.Errorf("--timeout %s is not positive", timeout)}
			}
			if err := f.one(cmd, args[0], bridge.VerbDrain); err != nil || !wait {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return f.from.awaitDrained(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), topology.StampID(args[0]), time.Second)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until nothing runs there any more")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "with --wait: for how long")
	return cmd
}

// awaitDrained returns when two looks in a row found that nothing runs in a stamp:
// between a plane and its .started is a moment in which nobody knows.
func (s *source) awaitDrained(ctx context.Context, out, progress io.Writer, stamp topology.StampID, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	said, clear := "", 0
	for {
		is, err := s.federation(ctx)
		left := "the gateway cannot be asked"
		held := 0
		if err == nil {
			left, held = runs(is, stamp)
		}
		if left == "" {
			clear++
		} else {
			clear = 0
		}
		if clear == 2 {
			_, err := fmt.Fprintf(out, "%s is drained: nothing runs there; %d new events are held and go on when it is resumed\n", stamp, held)
			return err
		}
		if left != "" && left != said && ctx.Err() == nil {
			said = left
			_, _ = fmt.Fprintf(progress, "%s: %s\n", stamp, left) // for people who watch
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not drained: %s", stamp, cmp.Or(said, "no time to look"))
		case <-tick.C:
		}
	}
}

// runs says what still runs in a stamp, nothing if that is nothing, and how many
// events it holds.
func runs(is *gateway.Federation, stamp topology.StampID) (left string, held int) {
	var parts []string
	var running int
	for _, r := range is.Stamps {
		st := r.Status
		if r.Control && st == nil {
			parts = append(parts, fmt.Sprintf("stamp %s does not say which tasks it gave: %s", r.Stamp, cmp.Or(r.Err, "no answer")))
		}
		if st != nil {
			running += st.Running[stamp]
		}
		if r.Stamp != stamp {
			continue
		}
		switch {
		case st == nil:
			parts = append(parts, "it does not answer: "+cmp.Or(r.Err, "no answer"))
			continue
		case st.Hold == nil:
			parts = append(parts, "it holds nothing: it was resumed")
			continue
		}
		held = st.Hold.Held
		if n := r.Waiting - held; n > 0 {
			parts = append(parts, fmt.Sprintf("%d events wait in it", n))
		}
		var out int64
		for _, t := range st.Targets {
			out += t.Held
		}
		if out > 0 {
			parts = append(parts, fmt.Sprintf("%d events of it wait to be sent", out))
		}
	}
	if running > 0 {
		parts = append(parts, fmt.Sprintf("%d tasks run in it", running))
	}
	return strings.Join(parts, "; "), held
}

func newHistoryCommand() *cobra.Command {
	var from source
	var output string
	cmd := &cobra.Command{
		Use:   "history [STAMP]",
		Short: "Show the last orders that stamps carried out, and who gave them",
		Long: `Show the last orders that a stamp, or every one that answers, has carried out: when,
by whom, by way of which stamp, why, and what came of it. A stamp keeps 200, and
tells the last 20.`,
		Example: "  ringway stamp history us-prod",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := from.check(); err != nil {
				return err
			}
			is, err := from.federation(cmd.Context())
			if err != nil {
				return err
			}
			all := []pastOrder{}
			for _, r := range is.Stamps {
				if r.Status == nil || len(args) > 0 && string(r.Stamp) != args[0] {
					continue
				}
				for _, d := range r.Status.Orders {
					all = append(all, pastOrder{Stamp: r.Stamp, Done: d})
				}
			}
			slices.SortStableFunc(all, func(a, b pastOrder) int { return a.At.Compare(b.At) })
			return show(cmd.OutOrStdout(), output, "Order", all, func(w io.Writer) error { return printHistory(w, all) })
		},
	}
	from.add(cmd.Flags())
	outputFlag(cmd, &output, outputTable, outputJSON, outputYAML)
	return cmd
}

// A pastOrder is one that a stamp has carried out.
type pastOrder struct {
	Stamp topology.StampID `json:"stamp"`
	bridge.Done
}

func printHistory(w io.Writer, all []pastOrder) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no orders")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "TIME\tSTAMP\tORDER\tBY\tVIA\tRESULT\tREASON") // Flush reports errors
	for _, o := range all {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.At.Format(time.RFC3339), o.Stamp, o.Verb, o.By, strings.TrimPrefix(o.Via, "_"), o.Result, cmp.Or(o.Reason, "-"))
	}
	return t.Flush()
}
