package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
	"github.com/ringway/ringway/topology/schema"
)

func newTopologyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topology",
		Short: "Check, show, draw and compare topology files",
		Long:  "Check, show, draw and compare topology files. Nothing here talks to a running gateway.",
	}
	cmd.AddCommand(newValidateCommand(), newShowCommand(), newSchemaCommand(), newGraphCommand(), newPlanCommand(), newRouteCommand(), newValuesCommand())
	return cmd
}

// fileFlag adds -f to a command.
func fileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "file", "f", "topology.yaml", "topology file")
}

// readMesh loads and compiles a topology file.
func readMesh(file string) (*topology.Mesh, error) {
	data, err := os.ReadFile(file) //nolint:gosec // named by the user
	if err != nil {
		return nil, fmt.Errorf("read topology: %w", err)
	}
	return topology.Parse(file, data)
}

func newValidateCommand() *cobra.Command {
	var file, output string
	var strict bool
	cmd := &cobra.Command{
		Use:   "validate [-f FILE]",
		Short: "Report everything that is wrong with a topology file",
		Long: `Report everything that is wrong with a topology file, each with its place, the
path of the value, what is wrong and what would be right. The exit code is 1 if
there is a problem; warnings alone make it 1 only with --strict.`,
		Example: "  ringway topology validate -f topology.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mesh, err := readMesh(file)
			problems := topology.AsProblems(err)
			if err != nil && problems == nil {
				return err
			}
			var warnings topology.Problems
			if mesh != nil {
				warnings = mesh.Warnings
			}
			if err := printProblems(cmd.OutOrStdout(), output, file, mesh, problems, warnings); err != nil {
				return err
			}
			if len(problems) > 0 || strict && len(warnings) > 0 {
				return errReported
			}
			return nil
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for problems")
	return cmd
}

func printProblems(w io.Writer, output, file string, mesh *topology.Mesh, problems, warnings topology.Problems) error {
	if output == "json" {
		return printJSON(w, map[string]topology.Problems{
			"problems": append(topology.Problems{}, problems...), "warnings": append(topology.Problems{}, warnings...),
		})
	}
	for _, p := range problems {
		_, _ = fmt.Fprintln(w, p) // the last write reports
	}
	for _, p := range warnings {
		_, _ = fmt.Fprintln(w, "warning:", p)
	}
	var err error
	if len(problems) > 0 {
		_, err = fmt.Fprintf(w, "%s: %d problems\n", file, len(problems))
	} else {
		_, err = fmt.Fprintf(w, "%s is right: %d stamps (%d hubs), %d rules, hash %s\n", file, len(mesh.Stamps), len(mesh.Hubs()), len(mesh.Stages), mesh.Hash)
	}
	return err
}

func newShowCommand() *cobra.Command {
	var file, output string
	cmd := &cobra.Command{
		Use:     "show [-f FILE]",
		Short:   "Show a topology with every default filled in",
		Example: "  ringway topology show -f topology.yaml -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mesh, err := readMesh(file)
			if err != nil {
				return err
			}
			show := mesh.Show
			if output == "json" {
				show = mesh.ShowJSON
			}
			b, err := show()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVarP(&output, "output", "o", "yaml", "yaml or json")
	return cmd
}

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of topology files, for editors",
		Example: "  ringway topology schema > topology.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := schema.JSON()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
}

func newGraphCommand() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:     "graph [-f FILE]",
		Short:   "Draw the stamps and links of a topology",
		Example: "  ringway topology graph -f topology.yaml --format svg > topology.svg",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mesh, err := readMesh(file)
			if err != nil {
				return err
			}
			draw, ok := map[string]func() string{"mermaid": mesh.Mermaid, "dot": mesh.Dot, "svg": mesh.SVG}[format]
			if !ok {
				return usageError{fmt.Errorf("--format %q is not mermaid, dot or svg", format)}
			}
			_, err = io.WriteString(cmd.OutOrStdout(), draw())
			return err
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVar(&format, "format", "mermaid", "mermaid, dot or svg")
	return cmd
}

func newPlanCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "plan OLD NEW",
		Short: "Say what it takes to go from one topology to another",
		Long: `Say what it takes to go from one topology to another: for each change whether
it takes effect while everything runs or restarts which link server, whom it
cuts off meanwhile, and which identities are to be issued or revoked.`,
		Example: "  ringway topology plan topology.yaml topology.new.yaml",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := readMesh(args[0])
			if err != nil {
				return err
			}
			to, err := readMesh(args[1])
			if err != nil {
				return err
			}
			steps := topology.Plan(from, to)
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), append([]topology.Step{}, steps...))
			}
			if len(steps) == 0 {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "no changes")
			}
			for _, s := range steps {
				_, err = io.WriteString(cmd.OutOrStdout(), s.Describe())
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func newRouteCommand() *cobra.Command {
	var file, eventFile, from, output string
	api := &adminClient{}
	cmd := &cobra.Command{
		Use:   "route [-f FILE] --event FILE",
		Short: "Say where an event would go, and why",
		Long: `Say where an event would go, and why, by asking the code that routes. The exit
code is 1 if the event would be refused.`,
		Example: `  ringway topology route --event event.json
  ringway topology route --event - --from eu-dev < finished.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mesh, err := readMesh(file)
			if err != nil {
				return err
			}
			body, err := readEvent(cmd, eventFile)
			if err != nil {
				return err
			}
			var known *bridge.Planes
			if api.base != "" {
				if known, err = api.planes(cmd.Context()); err != nil {
					return err
				}
			}
			d, err := decide(mesh, topology.StampID(from), body, known)
			if err != nil {
				return err
			}
			if err := printDecision(cmd.OutOrStdout(), output, d); err != nil {
				return err
			}
			if d.Refused != bridge.ReasonNone {
				return errReported
			}
			return nil
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVar(&api.base, "admin", "", "admin address of a gateway, to be told which planes there are; none if not given")
	cmd.Flags().StringVar(&eventFile, "event", "", "file with the event as JSON; - is standard input")
	cmd.Flags().StringVar(&from, "from", "", "stamp whose client publishes it (default: that of the control plane that owns its project)")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func readEvent(cmd *cobra.Command, file string) ([]byte, error) {
	var b []byte
	var err error
	switch file {
	case "":
		return nil, usageError{errors.New("--event is missing: name the file with the event")}
	case "-":
		b, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), 16<<20))
	default:
		b, err = os.ReadFile(file) //nolint:gosec // named by the user
	}
	if err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	return b, nil
}

// decide asks the router of the stamp that publishes.
func decide(mesh *topology.Mesh, from topology.StampID, body []byte, known *bridge.Planes) (bridge.Decision, error) {
	typ, err := bridge.TypeOf(body)
	if err != nil {
		return bridge.Decision{}, err
	}
	e, err := bridge.Parse(typ, body)
	if err != nil {
		return bridge.Decision{Refused: bridge.ReasonInvalid, Tried: []string{err.Error()}}, nil //nolint:nilerr // it is the answer
	}
	if from == "" {
		owner := mesh.ControlOf(e.Project)
		if owner == nil {
			return bridge.Decision{}, usageError{fmt.Errorf("no control plane owns project %q: say --from", e.Project)}
		}
		from = owner.Stamp
	}
	view, ok := mesh.View(from)
	if !ok {
		return bridge.Decision{}, usageError{fmt.Errorf("--from: there is no stamp %q", from)}
	}
	return bridge.NewRouter(view).Knowing(known).Route(e), nil
}

func printDecision(w io.Writer, output string, d bridge.Decision) error {
	if output == "json" {
		b, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			return fmt.Errorf("write decision: %w", err)
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	}
	for _, t := range d.Targets {
		_, _ = fmt.Fprintf(w, "→ %s  by %s\n", t.Stamp, t.Rule) // the last write reports
	}
	for i, c := range d.Candidates {
		_, _ = fmt.Fprintf(w, "%d. %s  by %s\n", i+1, c.Stamp, c.Rule)
	}
	if d.Local {
		_, _ = fmt.Fprintln(w, "→ the clients of the stamp itself, who have it already")
	}
	if d.Offer {
		_, _ = fmt.Fprintln(w, "  informs: dropped where nobody subscribes")
	}
	if d.Refused != bridge.ReasonNone {
		_, _ = fmt.Fprintf(w, "refused: %s\n", d.Refused)
	}
	for _, t := range d.Tried {
		_, _ = fmt.Fprintf(w, "  %s\n", t)
	}
	_, err := io.WriteString(w, "")
	return err
}
