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

func newAuthOperatorCommand() *cobra.Command {
	var store, name, out, output string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "operator --name NAME --out FILE",
		Short: "Make credentials for who may give orders to every stamp",
		Long: `Make credentials with which a person or a program freezes, drains and resumes stamps
and rings, and sets the log level of gateways: every order is signed with them, and
every stamp checks the signature. They can do all that those of a watcher can. They
end by themselves; the public key that is printed takes them back before, with
'ringway auth revoke --user'.`,
		Example: `  ringway auth operator --store ./keys --name anna --out anna.creds
  ringway ring freeze prod --reason "release 4.2" --server nats://ringway:4222 --creds anna.creds`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if name == "" || out == "" {
				return usageError{errors.New("say --name NAME --out FILE")}
			}
			if life <= 0 || life > 90*day {
				return usageError{fmt.Errorf("--life %s is not between 0 and 90 days", life)}
			}
			s, err := keystore.Open(store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			creds, key, err := s.Orderer(name, life, time.Now())
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, creds, 0o600); err != nil {
				return fmt.Errorf("write credentials: %w", err)
			}
			until := time.Now().Add(life).UTC().Format(time.RFC3339)
			hint(cmd, "next: ringway stamp freeze STAMP --reason WHY --server nats://HOST:4222 --creds %s", out)
			return show(cmd.OutOrStdout(), output, "Credentials", map[string]string{"file": out, "name": name, "until": until, "key": key}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "made %s, good until %s\nits public key is %s\n", out, until, key)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&store, "store", "keys", "folder of the federation's keys; keep it safe")
	cmd.Flags().StringVar(&name, "name", "", "for whom they are")
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	cmd.Flags().DurationVar(&life, "life", 7*day, "for how long they are good, 90 days at most")
	return cmd
}
