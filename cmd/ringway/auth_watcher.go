package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/auth/keystore"
)

func newAuthWatcherCommand() *cobra.Command {
	var store, name, out, output string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "watcher --name NAME --out FILE",
		Short: "Make credentials for who may look and touch nothing",
		Long: `Make credentials with which a person or a program finds gateways as NATS services
and asks them how all stamps are, over the NATS of any stamp. They see no event
and change nothing. They cannot be taken back, but end by themselves.`,
		Example: `  ringway auth watcher --store ./keys --name anna --out anna.creds
  ringway status --server nats://ringway:4222 --creds anna.creds
  nats --creds anna.creds --inbox-prefix _INBOX._anna -s nats://ringway:4222 micro ls`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if name == "" || out == "" {
				return usageError{errors.New("say --name NAME --out FILE")}
			}
			if life <= 0 || life > 365*day {
				return usageError{fmt.Errorf("--life %s is not between 0 and a year", life)}
			}
			s, err := keystore.Open(store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			creds, err := s.Watcher(name, life, time.Now())
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, creds, 0o600); err != nil {
				return fmt.Errorf("write credentials: %w", err)
			}
			until := time.Now().Add(life).UTC().Format(time.RFC3339)
			hint(cmd, "next: ringway status --server nats://HOST:4222 --creds %s", out)
			return show(cmd.OutOrStdout(), output, "Credentials", map[string]string{"file": out, "name": name, "until": until}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "made %s, good until %s\n", out, until)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&store, "store", "keys", "folder of the federation's keys; keep it safe")
	cmd.Flags().StringVar(&name, "name", "", "for whom they are")
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	cmd.Flags().DurationVar(&life, "life", 30*day, "for how long they are good")
	return cmd
}
