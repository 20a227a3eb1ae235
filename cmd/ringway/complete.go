package main

import (
	"cmp"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/topology"
)

// The flags and arguments that are completed with names of the topology file.
// An argument is known by the word that Use has for it.
var (
	nameFlags = map[string]func(*topology.Mesh) []string{
		"stamp": stampNames, "from": stampNames, "to": stampNames, "cut": stampNames, "ring": ringNames, "geo": geoNames, "stage": stageNames,
	}
	nameArgs = map[string]func(*topology.Mesh) []string{"STAMP": stampNames, "RING": ringNames, "GEO": geoNames}
)

// A name is completed with what it stands for behind it, which shells show.
func stampNames(m *topology.Mesh) []string {
	var out []string
	for _, s := range m.Stamps {
		out = append(out, string(s.ID)+"\tgeo "+string(s.Geo)+", ring "+string(s.Ring))
	}
	return out
}

func ringNames(m *topology.Mesh) []string {
	var out []string
	for _, r := range m.Rings {
		out = append(out, string(r))
	}
	return out
}

func geoNames(m *topology.Mesh) []string {
	var out []string
	for _, g := range m.Geos {
		out = append(out, string(g))
	}
	return out
}

func stageNames(m *topology.Mesh) []string {
	var out []string
	for _, s := range m.Stages {
		out = append(out, s.Stage)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// completeContexts completes the name of one context. It is a cobra.CompletionFunc.
func completeContexts(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, err := openContexts()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp // a shell has no place for an error
	}
	names, _ := c.names() // as above
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeNames lets shells complete the flags and arguments of c: words of a
// choice, and names from the topology file. It asks no gateway, so that pressing
// a key never waits. What a command completes itself is left to it.
func completeNames(c *cobra.Command) {
	for flag, names := range nameFlags {
		if c.LocalFlags().Lookup(flag) == nil {
			continue
		}
		if _, has := c.GetFlagCompletionFunc(flag); !has {
			_ = c.RegisterFlagCompletionFunc(flag, fromTopology(names)) // the flag is there
		}
	}
	for _, flag := range []string{"output", "format"} {
		f := c.LocalFlags().Lookup(flag)
		if f == nil {
			continue
		}
		if words, ok := f.Value.(choice); ok {
			_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words.of, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
		}
	}
	if c.ValidArgsFunction != nil {
		return
	}
	words := strings.Fields(c.Use)
	for i, word := range words[1:] {
		if strings.Contains(words[i], "-") {
			continue // the value of a flag
		}
		word = strings.Trim(word, "[].")
		switch names := nameArgs[word]; {
		case names != nil:
			c.ValidArgsFunction = fromTopology(names)
			return
		case len(word) > 1 && strings.Contains(word, "|") && word == strings.ToLower(word):
			c.ValidArgsFunction = cobra.FixedCompletions(strings.Split(word, "|"), cobra.ShellCompDirectiveNoFileComp)
			return
		}
	}
}

// fromTopology returns what completes names of the topology file: that of the
// command's own flag, else of RINGWAY_TOPOLOGY, else topology.yaml.
func fromTopology(names func(*topology.Mesh) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		file := cmp.Or(os.Getenv("RINGWAY_TOPOLOGY"), "topology.yaml")
		for _, flag := range []string{"topology", "file"} {
			if f := cmd.Flags().Lookup(flag); f != nil && f.Changed {
				file = f.Value.String()
			}
		}
		mesh, err := readMesh(file)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // a shell has no place for it
		}
		return slices.DeleteFunc(names(mesh), func(n string) bool {
			name, _, _ := strings.Cut(n, "\t")
			return slices.Contains(args, name)
		}), cobra.ShellCompDirectiveNoFileComp
	}
}
