package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/yamlfile"
)

func newRunCommand() *cobra.Command {
	var file string
	defaults := gateway.DefaultOptions()
	cmd := &cobra.Command{
		Use:   "run --config gateway.yaml",
		Short: "Run the gateway of one stamp",
		Long: `Run the gateway of one stamp until it is told to stop.

Every key of gateway.yaml has a flag and a RINGWAY_* variable of the same name;
a flag wins over a variable, a variable over the file. Paths in the file are
relative to the file.`,
		Example: `  ringway run --config gateway.yaml
  RINGWAY_STAMP=eu-1 ringway run --topology topology.yaml --identity ./eu-1 --data /var/lib/ringway`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := runOptions(cmd, file)
			if err != nil {
				return err
			}
			log := newLogger(cmd.ErrOrStderr(), opts.Log)
			g, err := gateway.New(opts, log)
			if err != nil {
				return err
			}
			return g.Run(cmd.Context(), func() {
				log.Info("clients are served", "stamp", opts.Stamp, "addr", g.ClientURL())
				log.Info("status is served", "stamp", opts.Stamp, "addr", g.AdminURL())
				if url := g.RESTURL(); url != "" {
					log.Info("HTTP is served", "stamp", opts.Stamp, "addr", url)
				}
			})
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "gateway.yaml (variable RINGWAY_CONFIG)")
	bindFlags(cmd.Flags(), &defaults)
	return cmd
}

// runOptions puts file, environment and flags together.
func runOptions(cmd *cobra.Command, file string) (gateway.Options, error) {
	opts := gateway.DefaultOptions()
	if file == "" {
		file = os.Getenv("RINGWAY_CONFIG")
	}
	if file != "" {
		data, err := os.ReadFile(file) //nolint:gosec // named by the user
		if err != nil {
			return opts, fmt.Errorf("read configuration: %w", err)
		}
		if err := yamlfile.Decode(file, data, &opts); err != nil {
			return opts, err
		}
		opts.CompletePaths(func(p string) string {
			if p == "" || filepath.IsAbs(p) {
				return p
			}
			return filepath.Join(filepath.Dir(file), p)
		})
	}
	if err := override(cmd.Flags(), os.LookupEnv, &opts); err != nil {
		return opts, err
	}
	if err := opts.Validate(); err != nil {
		return opts, usageError{err}
	}
	return opts, nil
}

func newLogger(w io.Writer, o gateway.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.Level)) // validated
	h := &slog.HandlerOptions{Level: level}
	if o.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}
