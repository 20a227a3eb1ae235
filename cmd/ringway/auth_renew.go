package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/topology"
)

func newAuthRenewCommand() *cobra.Command {
	var f authFlags
	var output string
	cmd := &cobra.Command{
		Use:   "renew --stamp NAME",
		Short: "Let a stamp's next folder have new users and certificates",
		Long: `Let a stamp's next folder have new users, and new certificates if the CA's key is
in the store. A stamp that was revoked gets in again with that folder, and its old
users stay out. Those of a stamp that was not revoked stay good until they expire.`,
		Example: `  ringway auth renew --store ./keys --stamp us-prod
  ringway auth issue --topology topology.yaml --store ./keys --stamp us-prod --out ./us-prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.stamp == "" {
				return usageError{errors.New("--stamp is missing")}
			}
			s, err := keystore.Open(f.store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := s.Renew(topology.StampID(f.stamp)); err != nil {
				return err
			}
			hint(cmd, "next: ringway auth issue --topology %s --store %s --stamp %s --out DIR", f.topology, f.store, f.stamp)
			return show(cmd.OutOrStdout(), output, "Renewal", map[string]string{"renewed": f.stamp}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "renewed %s; issue its folder\n", f.stamp)
				return err
			})
		},
	}
	f.add(cmd, true)
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}
