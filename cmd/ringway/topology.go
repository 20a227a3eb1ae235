package main

import (
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
path of the value, what is wrong and what would be right. Exit codes: 0, 1 if
the file cannot be read, 2 if there is a problem; warnings alone make it 2 only
with --strict.`,
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
				return exitCode(exitUsage)
			}
			return nil
		},
	}
	fileFlag(cmd, &file)
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for problems")
	return cmd
}

func printProblems(w io.Writer, output, file string, mesh *topology.Mesh, problems, warnings topology.Problems) error {
	if output != outputText {
		return show(w, output, "Validation", map[string]topology.Problems{
			"problems": append(topology.Problems{}, problems...), "warnings": append(topology.Problems{}, warnings...),
		}, nil)
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
			shown := mesh.Show
			if output == outputJSON {
				shown = mesh.ShowJSON
			}
			b, err := shown()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
	fileFlag(cmd, &file)
	outputFlag(cmd, &output, outputYAML, outputJSON)
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
		Example: "  ringway topology graph -f topology.yaml -o svg > topology.svg",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mesh, err := readMesh(file)
			if err != nil {
				return err
			}
			switch format {
			case "dot":
				_, err = io.WriteString(cmd.OutOrStdout(), mesh.Dot())
			case "svg":
				_, err = io.WriteString(cmd.OutOrStdout(), mesh.SVG())
			case outputJSON, outputYAML:
				err = show(cmd.OutOrStdout(), format, "Graph", mesh.Graph(), nil)
			default:
				_, err = io.WriteString(cmd.OutOrStdout(), mesh.Mermaid())
			}
			return err
		},
	}
	fileFlag(cmd, &file)
	outputFlag(cmd, &format, "mermaid", "dot", "svg", outputJSON, outputYAML)
	cmd.Flags().Var(cmd.Flags().Lookup("output").Value, "format", "what -o was called before")
	_ = cmd.Flags().MarkHidden("format") // it is there
	return cmd
}

func newPlanCommand() *cobra.Command {
	var output string
	var detailed bool
	cmd := &cobra.Command{
		Use:   "plan OLD NEW",
		Short: "Say what it takes to go from one topology to another",
		Long: `Say what it takes to go from one topology to another: for each change whether
it takes effect while everything runs or restarts which link server, whom it
cuts off meanwhile, and which identities are to be issued or revoked.

Exit codes: 0, 1 if a file cannot be read, 2 if one is wrong, and with
--detailed-exitcode 4 if there are changes.`,
		Example: `  ringway topology plan topology.yaml topology.new.yaml
  ringway topology plan --detailed-exitcode -o json topology.yaml topology.new.yaml`,
		Args: cobra.ExactArgs(2),
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
			err = show(cmd.OutOrStdout(), output, "Step", append([]topology.Step{}, steps...), func(w io.Writer) error { return printPlan(w, steps) })
			if err == nil && detailed && len(steps) > 0 {
				err = exitCode(exitChange)
			}
			return err
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 4 if there are changes")
	return cmd
}

func printPlan(w io.Writer, steps []topology.Step) error {
	if len(steps) == 0 {
		_, err := fmt.Fprintln(w, "no changes")
		return err
	}
	for _, s := range steps {
		if _, err := io.WriteString(w, s.Describe()); err != nil {
			return err
		}
	}
	return nil
}

func newRouteCommand() *cobra.Command {
	var file, eventFile, from, output string
	api := &adminClient{}
	cmd := &cobra.Command{
		Use:   "route [-f FILE] --event FILE",
		Short: "Say where an event would go, and why",
		Long: `Say where an event would go, and why, by asking the code that routes.

Exit codes: 0, 1 if something cannot be read or asked, 2 for a wrong command line
or topology, 3 if the event would be refused.`,
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
				return exitCode(exitChecks)
			}
			return nil
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVar(&api.base, "admin", "", "admin address of a gateway, to be told which planes there are; none if not given")
	cmd.Flags().StringVar(&eventFile, "event", "", "file with the event as JSON; - is standard input")
	cmd.Flags().StringVar(&from, "from", "", "stamp whose client publishes it (default: that of the control plane that owns its project)")
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
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
	if output != outputText {
		out := struct {
			Rule string `json:"rule,omitempty"` // that takes a task
			bridge.Decision
		}{Decision: d}
		if d.Rule != nil {
			out.Rule = d.Rule.Name
		}
		return show(w, output, "Decision", out, nil)
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
