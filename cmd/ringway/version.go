package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/gateway"
)

func newVersionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  ringway version -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			is := map[string]string{"version": gateway.Version(), "go": runtime.Version(), "platform": platform}
			return show(cmd.OutOrStdout(), output, "Version", is, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "ringway %s (%s, %s)\n", gateway.Version(), runtime.Version(), platform)
				return err
			})
		},
	}
	outputFlag(cmd, &output, outputText, outputJSON, outputYAML)
	return cmd
}
