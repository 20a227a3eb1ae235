package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/topology"
)

func newAuthCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Keys and identities of a federation"}
	cmd.AddCommand(
		newAuthInitCommand(), newAuthIssueCommand(), newAuthShowCommand(), newAuthExpirationsCommand(), newAuthRevokeCommand(),
		newAuthRenewCommand(), newAuthWatcherCommand(), newAuthOperatorCommand(), newAuthSecretCommand(), newAuthTokensCommand(),
	)
	return cmd
}

// authFlags are the flags that the verbs of auth share.
type authFlags struct{ topology, store, stamp, out string }

func (f *authFlags) add(cmd *cobra.Command, withStamp bool) {
	cmd.Flags().StringVar(&f.topology, "topology", "topology.yaml", "topology file")
	cmd.Flags().StringVar(&f.store, "store", "keys", "folder of the federation's keys; keep it safe")
	if withStamp {
		cmd.Flags().StringVar(&f.stamp, "stamp", "", "name of the stamp")
	}
}

func newAuthInitCommand() *cobra.Command {
	var f authFlags
	var caCert, caKey, output string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the keys of a federation",
		Long: `Make the keys of a federation: operator, accounts and the CA of the links, in a
folder that nsc reads too. It is done once; who has the folder can make any
identity. A CA of your own is brought along with --ca-cert and --ca-key.`,
		Example: "  ringway auth init --topology topology.yaml --store ./keys",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			mesh, err := readMesh(f.topology)
			if err != nil {
				return err
			}
			ca, err := readCA(caCert, caKey)
			if err != nil {
				return err
			}
			s, err := keystore.Init(f.store, mesh.Name, time.Now(), ca)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			hint(cmd, "next: ringway auth issue --topology %s --store %s --stamp NAME --out DIR", f.topology, f.store)
			return show(cmd.OutOrStdout(), output, "KeyStore", map[string]string{"federation": mesh.Name, "store": f.store}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "made the keys of federation %s in %s\n", mesh.Name, f.store)
				return err
			})
		},
	}
	f.add(cmd, false)
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	cmd.Flags().StringVar(&caCert, "ca-cert", "", "certificate of a CA of your own, PEM")
	cmd.Flags().StringVar(&caKey, "ca-key", "", "its key, PEM")
	return cmd
}

func readCA(cert, key string) (*keystore.CA, error) {
	if cert == "" && key == "" {
		return nil, nil //nolint:nilnil // none was brought
	}
	if cert == "" {
		return nil, usageError{errors.New("--ca-key needs --ca-cert")}
	}
	c, err := os.ReadFile(cert) //nolint:gosec // named by the user
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	if key == "" {
		return &keystore.CA{Cert: c}, nil
	}
	k, err := os.ReadFile(key) //nolint:gosec // named by the user
	if err != nil {
		return nil, fmt.Errorf("read key of CA: %w", err)
	}
	return &keystore.CA{Cert: c, Key: k}, nil
}

func newAuthIssueCommand() *cobra.Command {
	var f authFlags
	var all bool
	var output string
	cmd := &cobra.Command{
		Use:   "issue",
		Short: "Write the identity folder of a stamp",
		Long: `Write the identity folder of a stamp: everything by which it proves who it is,
and nothing by which it could be another. The folder can become a Kubernetes
Secret as it is. Issuing again changes only what has to change.`,
		Example: `  ringway auth issue --topology topology.yaml --store ./keys --stamp us-prod --out ./us-prod
  ringway auth issue --all --out ./identities
  kubectl create secret generic ringway-identity --from-file=./us-prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.out == "" || all == (f.stamp != "") {
				return usageError{errors.New("say --stamp NAME --out DIR, or --all --out DIR")}
			}
			mesh, err := readMesh(f.topology)
			if err != nil {
				return err
			}
			s, err := keystore.Open(f.store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if !all && mesh.Stamp(topology.StampID(f.stamp)) == nil {
				return usageError{fmt.Errorf("topology %s has no stamp %q", f.topology, f.stamp)}
			}
			done, err := f.issue(s, mesh, all)
			return errors.Join(err, show(cmd.OutOrStdout(), output, "Identity", done, func(w io.Writer) error { return printIssued(w, done) }))
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	f.add(cmd, true)
	cmd.Flags().StringVar(&f.out, "out", "", "folder to write")
	cmd.Flags().BoolVar(&all, "all", false, "every stamp, each in a folder of its name below --out")
	return cmd
}

// An issued stamp has its identity in a folder; one that is revoked has none.
type issued struct {
	Stamp   topology.StampID `json:"stamp"`
	Folder  string           `json:"folder,omitempty"`
	Revoked bool             `json:"revoked,omitempty"`
}

// issue writes the folder of one stamp or all, and returns what it did also if
// it fails on the way.
func (f *authFlags) issue(s *keystore.Store, mesh *topology.Mesh, all bool) ([]issued, error) {
	done := []issued{}
	for _, st := range mesh.Stamps {
		dir := f.out
		if all {
			dir = filepath.Join(f.out, string(st.ID))
		} else if string(st.ID) != f.stamp {
			continue
		}
		folder, err := s.IssueFolder(mesh, st.ID, time.Now())
		if err == nil {
			err = keystore.WriteFolder(dir, folder)
		}
		switch {
		case all && errors.Is(err, keystore.ErrRevoked):
			done = append(done, issued{Stamp: st.ID, Revoked: true})
		case err != nil:
			return done, err
		default:
			done = append(done, issued{Stamp: st.ID, Folder: dir})
		}
	}
	return done, nil
}

func printIssued(w io.Writer, done []issued) error {
	for _, i := range done {
		line := fmt.Sprintf("issued %s in %s\n", i.Stamp, i.Folder)
		if i.Revoked {
			line = fmt.Sprintf("skipped %s, which is revoked\n", i.Stamp)
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
}

func newAuthShowCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "show DIR",
		Short:   "Show what is in an identity folder, without its secrets",
		Example: "  ringway auth show ./us-prod",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, err := keystore.ReadFolder(args[0])
			if err != nil {
				return err
			}
			items, err := folder.Show()
			if err != nil {
				return err
			}
			return printItems(cmd, output, items)
		},
	}
	outputFlag(cmd, &output, outputTable, outputJSON, outputYAML)
	return cmd
}

func newAuthExpirationsCommand() *cobra.Command {
	var output string
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "expirations DIR...",
		Short: "List what expires in identity folders, soonest first",
		Long: `List what expires in identity folders, soonest first.

Exit codes: 0, 1 if a folder cannot be read, 2 for a wrong command line, 3 if
something has expired already, or does --within that time.`,
		Example: "  ringway auth expirations --within 720h ./identities/*",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var folders []*auth.Folder
			for _, dir := range args {
				folder, err := keystore.ReadFolder(dir)
				if err != nil {
					return err
				}
				folders = append(folders, folder)
			}
			items, err := auth.Expirations(folders...)
			if err != nil {
				return err
			}
			if err := printItems(cmd, output, items); err != nil {
				return err
			}
			for i := range items {
				if items[i].Expired(time.Now().Add(within)) {
					return exitCode(exitChecks)
				}
			}
			return nil
		},
	}
	outputFlag(cmd, &output, outputTable, outputJSON, outputYAML)
	cmd.Flags().DurationVar(&within, "within", 0, "fail for what expires within this time")
	return cmd
}

func printItems(cmd *cobra.Command, output string, items []auth.Item) error {
	if output != outputTable {
		return show(cmd.OutOrStdout(), output, "Credential", items, nil)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "FILE\tKIND\tNAME\tISSUED\tEXPIRES\tHOSTS") // Flush reports errors
	for _, i := range items {
		expires := "never"
		if !i.Expires.IsZero() {
			expires = i.Expires.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", i.File, i.Kind, i.Name, i.Issued.UTC().Format(time.RFC3339), expires, strings.Join(i.Hosts, ","))
	}
	return t.Flush()
}

func newAuthRevokeCommand() *cobra.Command {
	var f authFlags
	var output, user string
	cmd := &cobra.Command{
		Use:   "revoke --stamp NAME|--user KEY",
		Short: "Take a stamp's identity, or an operator's, out of force",
		Long: `Take a stamp's identity out of force, or an operator's or a watcher's by its public
key. It counts once every other stamp has its folder issued anew: the token of
account FED in it says who is revoked.`,
		Example: "  ringway auth revoke --store ./keys --stamp us-prod && ringway auth issue --all --out ./identities",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if (f.stamp == "") == (user == "") {
				return usageError{errors.New("say --stamp NAME or --user KEY")}
			}
			s, err := keystore.Open(f.store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if user != "" {
				err = s.RevokeUser(user, time.Now())
			} else {
				err = s.Revoke(topology.StampID(f.stamp), time.Now())
			}
			if err != nil {
				return err
			}
			hint(cmd, "next: ringway auth issue --all --topology %s --store %s --out DIR, and give every stamp its folder", f.topology, f.store)
			return show(cmd.OutOrStdout(), output, "Revocation", map[string]string{"revoked": f.stamp + user}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "revoked %s; issue the folders of the other stamps anew\n", f.stamp+user)
				return err
			})
		},
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&user, "user", "", "public key of an operator or a watcher")
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}
