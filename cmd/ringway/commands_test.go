package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// noOutput names the verbs without -o, and what they print instead.
var noOutput = map[string]string{
	"ringway run":             "it serves, and logs",
	"ringway topology schema": "a JSON Schema",
}

// TestEveryCommandIsComplete: a new verb has what all others have. The message
// says what to add.
func TestEveryCommandIsComplete(t *testing.T) {
	each(newRootCommand(), func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short is %q: say in one line, without a full stop, what it does", path, c.Short)
		}
		if !c.Runnable() {
			return
		}
		completion := strings.HasPrefix(path, "ringway completion")
		switch {
		case c.Example == "":
			t.Errorf("%s: Example is missing: add one or two command lines, each indented by two spaces, as in newStatusCommand", path)
		case !strings.HasPrefix(c.Example, "  "):
			t.Errorf("%s: Example is not indented by two spaces", path)
		case !strings.Contains(c.Example, path) && !completion:
			t.Errorf("%s: Example does not show %q", path, path)
		}
		if !strings.Contains(strings.ToLower(c.Long), "exit codes") {
			t.Errorf("%s: the help has no exit codes: finish in help.go adds them", path)
		}
		if c.Args == nil && !completion {
			t.Errorf("%s: Args is missing: cobra.NoArgs, say; else arguments by mistake are ignored", path)
		}
		checkOutput(t, c)
		for line := range strings.Lines(c.Example) {
			checkLine(t, path+": Example", strings.TrimSpace(line))
		}
	})
}

func checkOutput(t *testing.T, c *cobra.Command) {
	path := c.CommandPath()
	if noOutput[path] != "" || strings.HasPrefix(path, "ringway completion") {
		return
	}
	f := c.Flags().Lookup("output")
	switch {
	case f == nil:
		t.Errorf("%s: flag -o is missing: outputFlag adds it, and show prints what it asks for; or say in noOutput why it has none", path)
	case f.Shorthand != "o":
		t.Errorf("%s: --output has no -o", path)
	case !strings.Contains(f.Value.Type()+f.Usage, "json"):
		t.Errorf("%s: -o takes no json: scripts need it", path)
	}
}

// TestFlagsMeanTheSame: a flag of one name means one thing everywhere.
func TestFlagsMeanTheSame(t *testing.T) {
	short := map[string]string{}
	each(newRootCommand(), func(c *cobra.Command) {
		if strings.HasPrefix(c.CommandPath(), "ringway run") {
			return // its flags are keys of gateway.yaml
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s: says nothing about itself", c.CommandPath(), f.Name)
			}
			if f.Shorthand == "" {
				return
			}
			if was, ok := short[f.Shorthand]; ok && was != f.Name {
				t.Errorf("%s: -%s is --%s here and --%s elsewhere", c.CommandPath(), f.Shorthand, f.Name, was)
			}
			short[f.Shorthand] = f.Name
		})
	})
	require.Equal(t, "output", short["o"])
}

// checkLine reports a command line that the program would not take. What is no
// command line of ours is left alone.
func checkLine(t *testing.T, at, line string) {
	t.Helper()
	if err := parses(line); err != nil {
		t.Errorf("%s: %q: %v", at, line, err)
	}
}

// parses finds the verb and parses the flags of every `ringway` of a shell line.
func parses(line string) error {
	words := shellWords(line)
	for i := 0; i < len(words); i++ {
		if words[i] != "ringway" || i > 0 && !starts(words[:i]) {
			continue
		}
		end := i + 1
		for end < len(words) && !slices.Contains(operators, words[end]) {
			end++
		}
		if err := parsesArgs(words[i+1 : end]); err != nil {
			return err
		}
		i = end
	}
	return nil
}

// parsesArgs checks the arguments of the program as far as that goes without
// doing anything.
func parsesArgs(args []string) error {
	root := newRootCommand()
	root.InitDefaultHelpFlag()
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if help, _ := c.Flags().GetBool("help"); help {
		return nil
	}
	if !c.Runnable() {
		if left := c.Flags().Args(); len(left) > 0 || len(args) > 0 && !c.HasParent() {
			return usageError{cobra.NoArgs(c, append(left, ""))}
		}
		return nil
	}
	return c.ValidateArgs(c.Flags().Args())
}
