package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// operators end a command of a shell.
var operators = []string{"|", "||", "&&", "&", ";", ">", ">>", "<", "<(", ")", "2>", "#"}

// starts reports whether what stands before a word lets it be a command: an
// operator, a variable's value, or what runs a command.
func starts(before []string) bool {
	last := before[len(before)-1]
	name, _, is := strings.Cut(last, "=")
	return slices.Contains(operators, last) || last == "--" || last == "$(" || is && strings.ToUpper(name) == name
}

// shellWords splits a line as far as the lines of documents and examples need:
// quotes, operators, comments, and `go run ./cmd/ringway` for the program.
func shellWords(line string) []string {
	line = strings.ReplaceAll(line, "go run ./cmd/ringway", "ringway")
	var out []string
	var word strings.Builder
	var quote rune
	has := false
	end := func() {
		if has {
			out = append(out, word.String())
		}
		word.Reset()
		has = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, has = r, true
		case r == ' ' || r == '\t':
			end()
		case r == '#' && !has:
			return out
		case r == '(' && (word.String() == "$" || word.String() == "<" || strings.HasSuffix(word.String(), "=$")):
			word.Reset()
			out, has = append(out, "$("), false
		case strings.ContainsRune("|&;<>)", r):
			if !has && len(out) > 0 && strings.ContainsRune("|&>", r) && out[len(out)-1] == string(r) {
				out[len(out)-1] += string(r)
				continue
			}
			if r == '>' && (word.String() == "2" || word.String() == "1") {
				word.Reset()
				has = false
			}
			if r == '<' || r != ')' || has || len(out) > 0 {
				end()
				out = append(out, string(r))
			}
		default:
			word.WriteRune(r)
			has = true
		}
	}
	end()
	return out
}

func TestParses(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"ringway status -o wide --watch",
		"go run ./cmd/ringway up --for 5s --plain >up.log &",
		"A=$(ringway version -o json) && ringway topology validate -f topology.yaml",
		"RINGWAY_STAMP=a ringway run --topology topology.yaml",
		"kubectl -n ringway exec ringway-0 -- ringway doctor -o short | grep x",
		"ringway events dlq replay 1 2 # again",
		"ringway status --check --format prometheus > /var/x.prom",
		"helm -n ringway install ringway charts/ringway -f values.yaml",
		"ringway --help", "ringway topology --help", "cat ringway.log", "ringway",
	} {
		require.NoError(t, parses(good), good)
	}
	for _, bad := range []string{
		"ringway nonsense", "ringway status --nonsense", "ringway status -o xml", "ringway topology nonsense", "ringway topology plan a.yaml",
		"true && ringway events dlq shw 3", "kubectl exec ringway-0 -- ringway status extra",
	} {
		require.Error(t, parses(bad), bad)
	}
}
