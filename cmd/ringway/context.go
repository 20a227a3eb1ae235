package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringway/ringway/gateway"
)

func newContextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Keep where gateways are asked, and with which credentials",
		Long: `Keep where gateways are asked, and with which credentials, by a name. A verb that asks
takes what it is told by flags, then by variables (RINGWAY_SERVER and the like), then
by the context of --context, RINGWAY_CONTEXT or --nats-context, then by the selected
one. Files are 0600, below $XDG_CONFIG_HOME/ringway. A value may be env://VARIABLE;
that of --server and --admin file://PATH as well.`,
	}
	cmd.AddCommand(newContextAddCommand(), newContextListCommand())
	for _, c := range []*cobra.Command{newContextSelectCommand(), newContextShowCommand(), newContextRemoveCommand()} {
		c.ValidArgsFunction = completeContexts
		cmd.AddCommand(c)
	}
	return cmd
}

func newContextAddCommand() *cobra.Command {
	var p place
	var use bool
	var output string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Keep a context, or replace it",
		Example: `  ringway context add prod --server nats://ringway:4222 --creds ~/anna.creds --select
  ringway context add here --admin http://127.0.0.1:9222
  ringway context add ci --server env://NATS_URL --creds env://RINGWAY_CREDS_FILE`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := openContexts()
			if err != nil {
				return err
			}
			switch err := checkContextName(args[0]); {
			case err != nil:
				return err
			case p.Server == "" && p.Admin == "":
				return usageError{errors.New("say --server and --creds, or --admin")}
			case p.Server != "" && p.Creds == "":
				return usageError{errors.New("--server and --creds belong together")}
			case (p.Cert == "") != (p.Key == ""):
				return usageError{errors.New("--cert and --key belong together")}
			}
			for _, file := range []*string{&p.Creds, &p.CA, &p.Cert, &p.Key} {
				if *file == "" || strings.Contains(*file, "://") || strings.HasPrefix(*file, "~/") {
					continue
				}
				if *file, err = filepath.Abs(*file); err != nil { // it is used from anywhere
					return err
				}
			}
			if err := c.write(args[0], p); err != nil {
				return err
			}
			if use {
				if err := c.setSelected(args[0]); err != nil {
					return err
				}
			}
			return told(cmd, output, "kept", args[0])
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	fs := cmd.Flags()
	fs.StringVar(&p.Description, "description", "", "what it is")
	fs.StringVar(&p.Server, "server", "", "URL of a stamp's NATS")
	fs.StringVar(&p.Creds, "creds", "", "credentials, a file")
	fs.StringVar(&p.CA, "ca", "", "whom to trust, PEM")
	fs.StringVar(&p.Cert, "cert", "", "certificate, PEM")
	fs.StringVar(&p.Key, "key", "", "its key, PEM")
	fs.StringVar(&p.Admin, "admin", "", "admin address of a gateway")
	fs.BoolVar(&use, "select", false, "use it from now on where no other is named")
	return cmd
}

func newContextListCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List contexts; the selected one has a *", Args: cobra.NoArgs,
		Example: "  ringway context list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := openContexts()
			if err != nil {
				return err
			}
			names, err := c.names()
			if err != nil {
				return err
			}
			selected, err := c.selected()
			if err != nil {
				return err
			}
			all := map[string]place{}
			for _, n := range names {
				if all[n], err = c.read(n); err != nil {
					return err
				}
			}
			return show(cmd.OutOrStdout(), output, "Contexts", all, func(w io.Writer) error {
				if output == outputName {
					return namesOf(w, names, func(n string) string { return n })
				}
				if len(names) == 0 {
					_, err := fmt.Fprintln(w, "no contexts")
					return err
				}
				t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
				_, _ = fmt.Fprintln(t, "NAME\tSERVER\tADMIN\tDESCRIPTION") // Flush reports errors
				for _, n := range names {
					mark := ""
					if n == selected {
						mark = "*"
					}
					p := all[n]
					_, _ = fmt.Fprintf(t, "%s%s\t%s\t%s\t%s\n", n, mark, cmp.Or(withoutUser(p.Server), "-"), cmp.Or(withoutUser(p.Admin), "-"), cmp.Or(p.Description, "-"))
				}
				return t.Flush()
			})
		},
	}
	outputFlag(cmd, &output, outputTable, outputJSON, outputYAML, outputName)
	return cmd
}

// told says what was done to a context.
func told(cmd *cobra.Command, output, what, name string) error {
	return show(cmd.OutOrStdout(), output, "Selection", map[string]string{what: name}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s context %s\n", what, name)
		return err
	})
}

func newContextSelectCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "select NAME", Short: "Use a context where no other is named", Args: cobra.ExactArgs(1),
		Example: "  ringway context select prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := openContexts()
			if err != nil {
				return err
			}
			if _, err := c.read(args[0]); err != nil {
				return err
			}
			if err := c.setSelected(args[0]); err != nil {
				return err
			}
			return told(cmd, output, "selected", args[0])
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}

func newContextShowCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "show [NAME]", Short: "Show a context, or the selected one", Args: cobra.MaximumNArgs(1),
		Example: "  ringway context show prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := openContexts()
			if err != nil {
				return err
			}
			name, err := c.selected()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return usageError{errors.New("no context is selected: name one")}
			}
			p, err := c.read(name)
			if err != nil {
				return err
			}
			p.Server, p.Admin = withoutUser(p.Server), withoutUser(p.Admin)
			return show(cmd.OutOrStdout(), output, "Context", p, func(w io.Writer) error { return printYAML(w, p) })
		},
	}
	outputFlag(cmd, &output, outputYAML, outputJSON)
	return cmd
}

func newContextRemoveCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Forget a context", Args: cobra.ExactArgs(1),
		Example: "  ringway context remove prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := openContexts()
			if err != nil {
				return err
			}
			if err := c.remove(args[0]); err != nil {
				return err
			}
			return told(cmd, output, "removed", args[0])
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}

// withoutUser takes user and password out of a URL.
func withoutUser(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return url
}

// asking names the verbs that ask gateways.
var asking = []string{"status", "doctor", "planes", "events", "stamp", "ring", "log"}

// addContexts has the verbs that ask gateways, c among them, take what they are
// not told by flags from variables and contexts.
func addContexts(c *cobra.Command) {
	if !slices.Contains(asking, c.Name()) {
		return
	}
	var named, natsNamed string
	c.PersistentFlags().StringVar(&named, "context", "", "context to use, see 'ringway context'")
	c.PersistentFlags().StringVar(&natsNamed, "nats-context", "", "context of the nats command line to use")
	_ = c.RegisterFlagCompletionFunc("context", func(c *cobra.Command, _ []string, s string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeContexts(c, nil, s)
	}) // the flag is there
	each(c, func(sub *cobra.Command) {
		run := sub.RunE
		if run == nil {
			return
		}
		sub.RunE = func(sub *cobra.Command, args []string) error {
			if err := fromVariables(sub.Flags()); err != nil {
				return err
			}
			if err := fromContext(sub.Flags(), named, natsNamed); err != nil {
				return err
			}
			return run(sub, args)
		}
	})
}

// fromVariables sets the flags that are not given and have a variable:
// RINGWAY_SERVER for --server. Those of a gateway's own options are left alone:
// verbs run beside gateways, where they are set.
func fromVariables(fs *pflag.FlagSet) error {
	options := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaults := gateway.DefaultOptions()
	bindFlags(options, &defaults)
	var errs []error
	fs.VisitAll(func(f *pflag.Flag) {
		name := "RINGWAY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v := os.Getenv(name) // an empty one counts as none
		if v == "" || f.Changed || f.Name == "help" || options.Lookup(f.Name) != nil {
			return
		}
		if err := fs.Set(f.Name, v); err != nil {
			errs = append(errs, usageError{fmt.Errorf("variable %s: %w", name, err)})
		}
	})
	return errors.Join(errs...)
}

// fromContext sets flags that are not given by a context.
func fromContext(fs *pflag.FlagSet, named, natsNamed string) error {
	if named != "" && natsNamed != "" {
		return usageError{errors.New("--context and --nats-context exclude each other")}
	}
	var p place
	var err error
	if natsNamed != "" {
		p, err = natsContext(natsNamed)
	} else {
		p, err = namedContext(named)
	}
	if err != nil {
		return err
	}
	values, err := p.flags()
	if err != nil {
		return err
	}
	if given(fs, "admin") && !given(fs, "server") {
		delete(values, "server") // whom to ask was said
	}
	if given(fs, "server") { // these belong to another
		delete(values, "ca")
		delete(values, "cert")
		delete(values, "key")
	}
	for name, v := range values {
		if f := fs.Lookup(name); f != nil && !f.Changed {
			if err := fs.Set(name, v); err != nil {
				return usageError{fmt.Errorf("context: %w", err)}
			}
		}
	}
	return nil
}

func given(fs *pflag.FlagSet, name string) bool {
	f := fs.Lookup(name)
	return f != nil && f.Changed
}

// namedContext returns the context of a name, or the selected one, or none.
func namedContext(name string) (place, error) {
	c, err := openContexts()
	if err != nil {
		if name == "" {
			return place{}, nil //nolint:nilerr // no home, no contexts
		}
		return place{}, err
	}
	if name == "" {
		if name, err = c.selected(); err != nil || name == "" {
			return place{}, err
		}
	}
	return c.read(name)
}
