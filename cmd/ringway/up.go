package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/internal/demo"
	"github.com/ringway/ringway/topology"
)

// upOptions are the flags of ringway up.
type upOptions struct {
	file     string
	dir      string
	duration time.Duration
	events   int
	rate     float64
	work     time.Duration
	cut      []string
	cutFor   time.Duration
	data     []string
	plain    bool
	output   string
	logLevel string
	noColor  bool
}

func newUpCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole federation in this process and watch it work",
		Long: `Run a whole federation in this process: real servers, real keys, real TLS.

A control plane that behaves as Keptn's runs sequences through the stages, and
planes in every stamp answer. The view shows what crosses and what waits. At
the end, or on Ctrl-C, it stops sending, waits for what is on its way, and sums
up. A second Ctrl-C ends it at once.

Without -f it runs a built-in federation. The URLs it prints are NATS and
HTTP for anybody: point the nats command, curl or an integration of yours at
one.

Exit codes: 0, 1 if anything was lost, duplicated, or broke another promise, 2 for
a wrong command line or topology.`,
		Example: `  ringway up
  ringway up --cut apac-prod --cut-for 5s --for 20s
  ringway up -f topology.yaml --events 5000 -o json
  ringway up -f sayhello.yaml --data sayhello.location=EU,APAC`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.noColor, _ = cmd.Flags().GetBool(flagNoColor) // every command has it
			if err := o.validate(); err != nil {
				return usageError{err}
			}
			return runUp(cmd.Context(), o, startFederation, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "topology to run (default a built-in one)")
	f.StringVar(&o.dir, "dir", "", "folder for keys, streams and the log; must be new or from an earlier run (default a temporary one)")
	f.DurationVar(&o.duration, "for", 0, "send for so long (default until Ctrl-C)")
	f.IntVar(&o.events, "events", 0, "send about so many events (default without bound)")
	f.Float64Var(&o.rate, "rate", 5, "sequences per second; 0 is as fast as 64 at a time go")
	f.DurationVar(&o.work, "work", 20*time.Millisecond, "how long a plane takes for a task")
	f.StringSliceVar(&o.cut, "cut", nil, "cut the links of these stamps after a while")
	f.DurationVar(&o.cutFor, "cut-for", 5*time.Second, "how long links stay cut")
	f.StringArrayVar(&o.data, "data", []string{"sayhello.location=EU,APAC"}, "put values under a key of the events' data, in turn")
	f.BoolVar(&o.plain, "plain", false, "print lines instead of a screen (default when not on a terminal)")
	o.output = outputText
	f.VarP(choice{&o.output, []string{outputText, outputJSON}}, "output", "o", "form of the summary; with json only it is on standard output")
	f.StringVar(&o.logLevel, "log-level", "info", "what the gateways write to DIR/ringway.log: debug, info, warn, error")
	return cmd
}

// validate returns what is wrong with the flags.
func (o upOptions) validate() error {
	switch {
	case o.duration < 0 || o.cutFor < 0 || o.work < 0 || o.events < 0 || o.rate < 0:
		return errors.New("--for, --events, --rate, --work and --cut-for are not negative")
	case new(slog.Level).UnmarshalText([]byte(o.logLevel)) != nil:
		return fmt.Errorf("--log-level %q is not debug, info, warn or error", o.logLevel)
	}
	_, err := parseData(o.data)
	return err
}

// A federationConfig is what it takes to start a federation in this process.
type federationConfig struct {
	file  string // what topology came from, for messages
	spec  []byte // the topology as written
	mesh  *topology.Mesh
	dir   string
	log   *slog.Logger
	note  func(string)      // told what runs differently from how it is written
	board *demo.Switchboard // for every link between stamps; closed by the caller
}

// A starter starts a federation and returns when every stamp is ready and
// every link is up.
type starter func(context.Context, federationConfig) (demo.Federation, error)

// runUp runs one demonstration from start to summary.
func runUp(ctx context.Context, o upOptions, start starter, stdout, stderr io.Writer) (err error) {
	began := time.Now()
	topo, err := loadTopology(o.file)
	if err != nil {
		return err
	}
	cfg, err := showConfig(o, topo.mesh)
	if err != nil {
		return usageError{err}
	}
	dir, tidy, err := upDir(o.dir)
	if err != nil {
		return err
	}
	defer tidy()
	log, closeLog, err := upLog(dir, o.logLevel)
	if err != nil {
		return err
	}
	defer closeLog()
	view := newView(o, topo.mesh, stdout, stderr)
	defer view.flush()
	board := demo.NewSwitchboard()
	defer func() { err = errors.Join(err, board.Close()) }()
	fed, err := start(ctx, federationConfig{
		file: topo.file, spec: topo.data, mesh: topo.mesh, dir: dir, log: log, note: view.say, board: board,
	})
	if err != nil {
		return fmt.Errorf("start federation: %w", err)
	}
	defer func() { err = errors.Join(err, stopFederation(ctx, fed)) }()
	cfg.Federation, cfg.Log, cfg.OnLog = fed, log, view.say
	sum, err := perform(ctx, cfg, view, began)
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return nil // interrupted before anything was sent
	case err != nil:
		return err
	}
	if err := view.summary(sum); err != nil {
		return fmt.Errorf("print summary: %w", err)
	}
	if !sum.OK {
		return errReported
	}
	return nil
}

// stopFederation stops fed, also when ctx is cancelled, but not for ever.
func stopFederation(ctx context.Context, fed demo.Federation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := fed.Stop(ctx); err != nil {
		return fmt.Errorf("stop federation: %w", err)
	}
	return nil
}

// upDir returns the folder to work in, and what to call at the end.
func upDir(dir string) (path string, tidy func(), err error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", nil, fmt.Errorf("make folder: %w", err)
		}
		return dir, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "ringway-up-"); err != nil {
		return "", nil, fmt.Errorf("make folder: %w", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil // the system removes what is left
}

// upLog opens the log of the gateways in dir.
func upLog(dir, level string) (log *slog.Logger, closeLog func(), err error) {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level))                                                                   // validated
	f, err := os.OpenFile(filepath.Join(dir, "ringway.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // named by the caller
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: l})), func() { _ = f.Close() }, nil
}
