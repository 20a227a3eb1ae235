package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// The flags that every verb has.
const (
	flagQuiet   = "quiet"
	flagNoColor = "no-color"
)

// The verb that stands for each shell, in cobra's words, and how it is loaded.
var completionExamples = map[string]string{
	"bash":       "  source <(ringway completion bash)\n  ringway completion bash > /etc/bash_completion.d/ringway",
	"zsh":        "  source <(ringway completion zsh)\n  ringway completion zsh > \"${fpath[1]}/_ringway\"",
	"fish":       "  ringway completion fish | source\n  ringway completion fish > ~/.config/fish/completions/ringway.fish",
	"powershell": "  ringway completion powershell | Out-String | Invoke-Expression",
}

// exitCodes is what the help of every verb ends with that has none of its own.
const exitCodes = "Exit codes: 0, 1 if it failed, 2 for a wrong command line or file."

const rootLong = `Ringway joins the NATS of many clusters, and moves Keptn's events between them.

Standard output is for data, standard error for everything else. Colours are for
terminals only. No verb asks anything. JSON and YAML (-o) say what they are with
apiVersion and kind; a list is under items.

Exit codes, of all verbs:
  0  it is done, or all is well
  1  it failed: something cannot be reached, read or written
  2  the command line, a topology or a gateway.yaml is wrong: again will not help
  3  a check did not hold: status --check, doctor, auth expirations, topology route
  4  topology plan --detailed-exitcode: there are changes`

// finish gives every command what all have: completion of names, examples for
// the commands that are cobra's, and exit codes in the help.
func finish(root *cobra.Command) {
	root.PersistentFlags().BoolP(flagQuiet, "q", false, "say nothing beside the data: no hints, no next steps")
	root.PersistentFlags().Bool(flagNoColor, false, "no colours, also on a terminal (variable NO_COLOR)")
	root.InitDefaultCompletionCmd()
	each(root, func(c *cobra.Command) {
		if example := completionExamples[c.Name()]; c.HasParent() && c.Parent().Name() == "completion" {
			c.Example = example
		}
		completeNames(c)
		if !c.Runnable() || strings.Contains(strings.ToLower(c.Long), "exit codes") {
			return
		}
		if c.Long == "" {
			c.Long = c.Short + "."
		}
		c.Long = strings.TrimRight(c.Long, "\n") + "\n\n" + exitCodes
	})
}
