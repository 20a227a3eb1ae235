package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// tailFlags are the flags of events tail.
type tailFlags struct {
	from                                            source
	output                                          string
	stages, types, stamps, projects, contexts, step []string
	back                                            int
	n                                               int
}

func newTailCommand() *cobra.Command {
	f := &tailFlags{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow what happens to events, in all stamps",
		Long: `Follow what happens to events, in all stamps, as their gateways tell: every step of
every event that passes the filters. A filter may be given more than once, or as a list
with commas; all filters have to be passed. A type may be given by how it ends. Who
tells nothing is said on stderr. JSON is an object a line. The steps are:

  ` + strings.ReplaceAll(journal.StepNames(), ", ", " "),
		Example: `  ringway events tail --stage prod
  ringway events tail --type deployment.triggered --step waiting,held,refused,dead
  ringway events tail --stamp eu-1,eu-2 --back 20 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	f.from.add(fs)
	outputFlag(cmd, &f.output, outputTable, outputWide, outputJSON, outputYAML, outputName)
	fs.StringSliceVar(&f.stages, "stage", nil, "events of these stages")
	fs.StringSliceVar(&f.types, "type", nil, "events of these types, such as deployment.triggered")
	fs.StringSliceVar(&f.stamps, "stamp", nil, "what the gateways of these stamps tell")
	fs.StringSliceVar(&f.projects, "project", nil, "events of these projects")
	fs.StringSliceVar(&f.contexts, "shkeptncontext", nil, "events with these shkeptncontexts")
	fs.StringSliceVar(&f.step, "step", nil, "these steps")
	fs.IntVar(&f.back, "back", 0, "begin with so many steps of each stamp that have happened already, at most 500")
	fs.IntVar(&f.n, "count", 0, "end after so many steps; 0 is never")
	_ = cmd.RegisterFlagCompletionFunc("step", cobra.FixedCompletions(strings.Split(journal.StepNames(), ", "), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

// errEnough ends a tail that has shown what was asked for.
var errEnough = errors.New("enough")

func (f *tailFlags) run(cmd *cobra.Command) error {
	for _, s := range f.step {
		if !slices.Contains(strings.Split(journal.StepNames(), ", "), s) {
			return usageError{fmt.Errorf("--step %q is none of %s", s, journal.StepNames())}
		}
	}
	if f.back < 0 || f.n < 0 {
		return usageError{errors.New("--back and --count are not negative")}
	}
	if err := f.from.check(); err != nil {
		return err
	}
	p := &tailPrinter{w: cmd.OutOrStdout(), warn: func(text string) { hint(cmd, "%s", text) }, output: f.output, left: f.n}
	follow := f.followAdmin
	if f.from.server != "" {
		follow = f.followNATS
	}
	err := follow(cmd.Context(), p)
	if errors.Is(err, errEnough) || cmd.Context().Err() != nil {
		return nil //nolint:nilerr // it was told to stop
	}
	return err
}

// followAdmin reads the stream of an admin face.
func (f *tailFlags) followAdmin(ctx context.Context, p *tailPrinter) error {
	q := url.Values{}
	for key, all := range map[string][]string{
		"stage": f.stages, "type": f.types, "stamp": f.stamps, "project": f.projects, "context": f.contexts, "step": f.step,
	} {
		for _, v := range all {
			q.Add(key, v)
		}
	}
	q.Set("back", strconv.Itoa(f.back))
	resp, err := f.from.admin.open(ctx, http.MethodGet, "/events/tail?"+q.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var kind struct{ Kind string }
		if err := json.Unmarshal(lines.Bytes(), &kind); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		var err error
		if kind.Kind == "Silence" {
			var s gateway.TailSilence
			if err = json.Unmarshal(lines.Bytes(), &s); err == nil {
				p.silence(s.StorySilence)
			}
		} else {
			var s gateway.TailStep
			if err = json.Unmarshal(lines.Bytes(), &s); err == nil {
				err = p.step(s.Entry)
			}
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return errors.New("the gateway has ended the stream")
}

// tailPause is the time between two questions over NATS.
const tailPause = 500 * time.Millisecond

// followNATS asks again and again.
func (f *tailFlags) followNATS(ctx context.Context, p *tailPrinter) error {
	q := gateway.TailQuestion{Back: f.back, Filter: journal.Filter{Types: f.types, Stages: f.stages, Projects: f.projects, Contexts: f.contexts}}
	for _, s := range f.stamps {
		q.Filter.Stamps = append(q.Filter.Stamps, topology.StampID(s))
	}
	for _, s := range f.step {
		q.Filter.Steps = append(q.Filter.Steps, bridge.Step(s))
	}
	silent := map[topology.StampID]bool{}
	tick := time.NewTicker(tailPause)
	defer tick.Stop()
	for {
		var t gateway.Tail
		if err := f.from.query(ctx, [2]string{"", bridge.ShowTail}, q, &t); err != nil {
			return err
		}
		for _, s := range t.Silent {
			if !silent[s.Stamp] {
				silent[s.Stamp] = true
				p.silence(s)
			}
		}
		for _, e := range t.Entries {
			if err := p.step(e); err != nil {
				return err
			}
		}
		q.Places = t.Places
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// A tailPrinter shows steps as they come.
type tailPrinter struct {
	w      io.Writer
	warn   func(text string)
	output string
	left   int // steps until it is enough; 0: it never is
	begun  bool
}

func (p *tailPrinter) silence(s gateway.StorySilence) {
	text := s.Err
	if text == "" {
		text = "is heard again"
	}
	p.warn(string(s.Stamp) + ": " + text)
}

func (p *tailPrinter) step(e journal.Entry) error {
	if err := p.show(e); err != nil {
		return err
	}
	if p.left == 1 {
		return errEnough
	}
	p.left = max(p.left-1, 0)
	return nil
}

func (p *tailPrinter) show(e journal.Entry) error {
	line := gateway.TailStep{APIVersion: "ringway/v1", Kind: "Step", Entry: e}
	switch p.output {
	case outputJSON: // an object a line
		return json.NewEncoder(p.w).Encode(line)
	case outputYAML:
		if _, err := fmt.Fprintln(p.w, "---"); err != nil {
			return err
		}
		return printYAML(p.w, line)
	case outputName:
		_, err := fmt.Fprintf(p.w, "event/%s\n", e.ID)
		return err
	}
	head, format := []any{"TIME", "WHERE", "EVENT", "WHAT"}, "%-12s  %-24s  %-32s  %s\n"
	at := e.Time.UTC().Format("15:04:05.000")
	e.Say()
	row := []any{at, e.Where, shortType(e.Type), e.What}
	if p.output == outputWide {
		head, format = []any{"TIME", "WHERE", "STEP", "EVENT", "PLACE", "CONTEXT", "ID", "WHAT"}, "%-12s  %-24s  %-10s  %-32s  %-24s  %-36s  %-36s  %s\n"
		row = []any{at, e.Where, e.Step, shortType(e.Type), e.Place(), e.Context, e.ID, e.What}
	}
	if !p.begun {
		p.begun = true
		if _, err := fmt.Fprintf(p.w, format, head...); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.w, format, row...)
	return err
}
