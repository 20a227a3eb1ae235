package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/gateway"
)

type doctorFlags struct {
	from        source
	output      string
	all, strict bool
	expect      int
	bundle      bundleFlags
}

func newDoctorCommand() *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine a stamp, or all, and say what to do",
		Long: `Let a gateway examine itself: configuration, certificates, DNS, ports, links,
clock, disk, versions, limits, permissions, canaries, planes without events and
events without planes. Names and ports are tried by the gateway, from where it
runs. With --all-stamps every stamp does so and is asked over the links; one that
does not answer is a finding, with the side, the address and the cause.

It asks nothing and changes nothing. Exit codes: 0, also with warnings unless
--strict; 1 if the gateway cannot be asked; 2 for a wrong command line; 3 if
something is wrong.`,
		Example: `  ringway doctor
  ringway doctor --all-stamps --expect 12
  ringway doctor --all-stamps -o short
  ringway doctor --bundle ringway.tgz --config gateway.yaml --log /var/log/ringway.log
  ringway doctor -o json | jq '.findings[] | select(.level != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.from.add(fs)
	outputFlag(cmd, &f.output, outputTable, "short", outputJSON, outputYAML)
	fs.BoolVar(&f.all, "all-stamps", false, "examine every stamp")
	fs.IntVar(&f.expect, "expect", 0, "how many stamps have to answer; implies --all-stamps")
	fs.StringVar(&f.bundle.out, "bundle", "", "write a file .tgz for somebody elsewhere to look at: status and findings of all stamps, configuration, metrics, what goroutines do; without secrets")
	fs.StringVar(&f.bundle.config, "config", "", "with --bundle: gateway.yaml, to go in")
	fs.StringVar(&f.bundle.topology, "topology", "", "with --bundle: topology file, instead of the one in force")
	fs.StringVar(&f.bundle.log, "log", "", "with --bundle: file of the gateway's log; its last 8 MiB go in")
	fs.BoolVar(&f.strict, "strict", false, "fail for warnings, too")
	return cmd
}

func (f *doctorFlags) run(cmd *cobra.Command) error {
	if f.expect < 0 {
		return usageError{errors.New("--expect is less than 0")}
	}
	if err := f.from.check(); err != nil {
		return err
	}
	if f.bundle.out != "" {
		return f.bundle.make(cmd.Context(), &f.from, cmd.OutOrStdout())
	}
	is, err := f.ask(cmd.Context())
	if err != nil {
		return err
	}
	if is.Answered < f.expect {
		is.Findings = append(is.Findings, gateway.Finding{
			Stamp: is.Asked, Category: "links", Check: fmt.Sprintf("%d stamps answer", f.expect), Level: gateway.LevelFailure,
			Detail: fmt.Sprintf("%d do, %s included", is.Answered, is.Asked), Code: gateway.CodeMissing, See: gateway.See(gateway.CodeMissing),
		})
	}
	switch w := cmd.OutOrStdout(); f.output {
	case "json":
		err = printJSON(w, is)
	case "yaml":
		err = printYAML(w, is)
	default:
		err = printExamination(w, is, f.output == "short")
	}
	if err != nil {
		return err
	}
	if n := countLevels(is); n[gateway.LevelFailure] > 0 || f.strict && n[gateway.LevelWarning] > 0 {
		return exitCode(exitChecks)
	}
	return nil
}

// ask returns what was found, in one stamp or all.
func (f *doctorFlags) ask(ctx context.Context) (*gateway.Examination, error) {
	is := &gateway.Examination{}
	if f.all || f.expect > 0 {
		return is, f.from.ask(ctx, askExamination, is)
	}
	return is, f.from.ask(ctx, askExam, is)
}

func countLevels(is *gateway.Examination) map[gateway.Level]int {
	n := map[gateway.Level]int{}
	for _, x := range is.Findings {
		n[x.Level]++
	}
	return n
}

// The marks of the levels.
var marks = map[gateway.Level]string{gateway.LevelOK: "√", gateway.LevelWarning: "‼", gateway.LevelFailure: "×"}

// printExamination shows findings by stamp and category; only what is not well if
// short.
func printExamination(w io.Writer, is *gateway.Examination, short bool) error {
	var b strings.Builder
	head := ""
	for _, x := range is.Findings {
		if short && x.Level == gateway.LevelOK {
			continue
		}
		if h := string(x.Stamp) + ": " + x.Category; h != head {
			if head != "" {
				b.WriteByte('\n')
			}
			head = h
			_, _ = fmt.Fprintf(&b, "%s\n%s\n", h, strings.Repeat("-", len(h))) // a builder takes everything
		}
		_, _ = fmt.Fprintf(&b, "%s %s\n", marks[x.Level], x.Check)
		if x.Detail != "" {
			_, _ = fmt.Fprintf(&b, "    %s\n", x.Detail)
		}
		if x.See != "" {
			_, _ = fmt.Fprintf(&b, "    see %s\n", x.See)
		}
	}
	if head != "" {
		b.WriteByte('\n')
	}
	n := countLevels(is)
	_, _ = fmt.Fprintf(&b, "%s: %d well, %s, %s, in %s\n", verdictMark(n), n[gateway.LevelOK],
		counted(n[gateway.LevelWarning], "warning"), counted(n[gateway.LevelFailure], "failure"), stampCount(is.Answered))
	_, err := io.WriteString(w, b.String())
	return err
}

func verdictMark(n map[gateway.Level]int) string {
	switch {
	case n[gateway.LevelFailure] > 0:
		return marks[gateway.LevelFailure]
	case n[gateway.LevelWarning] > 0:
		return marks[gateway.LevelWarning]
	}
	return marks[gateway.LevelOK]
}

func stampCount(n int) string { return counted(n, "stamp") }

// counted is a number of things whose plural has an s.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
