package main

import (
	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
)

func newRingCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ring", Short: "Hold and let go what begins in the stamps of a ring"}
	cmd.AddCommand(
		newRingVerb(bridge.VerbFreeze, "Hold what begins something new in every stamp of a ring",
			"Hold what begins something new in every stamp of a ring, as 'ringway stamp freeze' does.",
			`  ringway ring freeze prod --reason "release 4.2 is in canary" --creds anna.creds --server nats://ringway:4222`),
		newRingVerb(bridge.VerbPromote, "Let a ring have what it was frozen for",
			`Let go of what the stamps of a ring hold, in order: what the rings before it have
proved flows. It is 'ring resume', and is noted as a promotion.`,
			"  ringway ring promote prod --geo eu --creds anna.creds --server nats://ringway:4222"),
		newRingVerb(bridge.VerbResume, "Let go of what the stamps of a ring hold, in order",
			"Let go of what the stamps of a ring hold, in order of arrival.",
			"  ringway ring resume prod --creds anna.creds --server nats://ringway:4222"),
	)
	return cmd
}

func newRingVerb(v bridge.Verb, short, long, example string) *cobra.Command {
	f := &orderFlags{}
	var geo string
	use := string(v) + " RING"
	if v == bridge.VerbFreeze {
		use += " --reason WHY"
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long + "\n" + orderExits, Example: example, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.reason == "" && v == bridge.VerbFreeze {
				return errNoReason
			}
			if err := f.check(); err != nil {
				return err
			}
			to, err := f.from.ring(cmd.Context(), args[0], geo)
			if err != nil {
				return err
			}
			return f.give(cmd.Context(), cmd.OutOrStdout(), bridge.Order{Verb: v, To: to})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&geo, "geo", "", "only its stamps in this geo")
	return cmd
}
