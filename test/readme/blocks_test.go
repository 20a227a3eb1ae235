package readme_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block is one fenced block of a document.
type block struct {
	lang string
	info []string // the words after the language
	text string
	line int // of the first fence
}

// blocks returns the fenced blocks of a Markdown document, in order.
func blocks(doc string) []block {
	var out []block
	var open *block
	var text []string
	for i, line := range strings.Split(doc, "\n") {
		fence, fenced := strings.CutPrefix(line, "```")
		switch {
		case !fenced && open != nil:
			text = append(text, line)
		case fenced && open != nil:
			open.text = strings.Join(text, "\n")
			out = append(out, *open)
			open, text = nil, nil
		case fenced:
			lang, info, _ := strings.Cut(fence, " ")
			open = &block{lang: lang, info: strings.Fields(info), line: i + 1}
		}
	}
	return out
}

// command returns what to run: the block, with what stands after + in its info
// added to its last command.
func (b block) command() string {
	for i, w := range b.info {
		if w == "+" {
			return strings.TrimRight(b.text, " \n") + " " + strings.Join(b.info[i+1:], " ")
		}
	}
	return b.text
}

// script returns a page as one script: its files are written and its blocks run in
// the order in which they stand. It is empty if nothing of the page is run.
func script(page, doc, ci string) (string, error) {
	var b strings.Builder
	ran := false
	for _, bl := range blocks(doc) {
		at := fmt.Sprintf("%s:%d", page, bl.line)
		switch word := append(bl.info, "")[0]; {
		case strings.HasPrefix(word, "file="):
			fmt.Fprintf(&b, "cat >%s <<'END OF BLOCK'\n%s\nEND OF BLOCK\n", strings.TrimPrefix(word, "file="), bl.text)
		case bl.lang != "sh" || word == "sketch":
		case word == "ci":
			if !strings.Contains(ci, "step "+bl.text+"\n") {
				return "", fmt.Errorf("%s: .ci/run has no such step", at)
			}
		case word == "run":
			fmt.Fprintf(&b, "echo '=== %s'\n%s\n", at, bl.command())
			ran = true
		default:
			return "", fmt.Errorf("%s: say whether this block is run: ```sh run, or ```sh sketch if it needs what a test has not, such as a cluster", at)
		}
	}
	if !ran {
		return "", nil
	}
	return b.String(), nil
}

var localPort = regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)

// onFreePorts puts free ports for those that a page names, each everywhere for
// the same one. They are below those that the system gives out by itself, so that
// no other test gets one meanwhile.
func onFreePorts(t *testing.T, script string) string {
	t.Helper()
	free := map[string]string{}
	var all []net.Listener // open until all are chosen, so that none is chosen twice
	defer func() {
		for _, l := range all {
			require.NoError(t, l.Close())
		}
	}()
	return localPort.ReplaceAllStringFunc(script, func(addr string) string {
		for free[addr] == "" {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 11000+rand.IntN(21000)))
			if err != nil {
				continue
			}
			all = append(all, l)
			free[addr] = l.Addr().String()
		}
		return free[addr]
	})
}

func TestScript(t *testing.T) {
	t.Parallel()
	got, err := script("p.md", "```sh run\necho a\n```\n```yaml file=x.yaml\na: 1\n```\n```sh sketch\nno\n```\n```text\nno\n```\n", "")
	require.NoError(t, err)
	require.Equal(t, "echo '=== p.md:1'\necho a\ncat >x.yaml <<'END OF BLOCK'\na: 1\nEND OF BLOCK\n", got)
	got, err = script("p.md", "```sh sketch\nno\n```\n", "")
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = script("p.md", "```sh\nperhaps\n```\n", "")
	require.ErrorContains(t, err, "p.md:1: say whether")
	_, err = script("p.md", "```sh ci\nmake tea\n```\n", "step make test\n")
	require.ErrorContains(t, err, ".ci/run has no such step")
	ports := onFreePorts(t, "a 127.0.0.1:1 127.0.0.1:1 127.0.0.1:2 :3 127.0.0.1:0")
	words := strings.Fields(ports)
	require.Equal(t, words[1], words[2])
	require.NotEqual(t, words[1], words[3])
	require.Equal(t, []string{":3", "127.0.0.1:0"}, words[4:])
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	got := blocks("text\n```sh run + --for 3s\necho one\necho two\n```\n```\nplain\n```\n~\n```yaml file=a.yaml\na: 1\n```\n")
	require.Equal(t, []block{
		{lang: "sh", info: []string{"run", "+", "--for", "3s"}, text: "echo one\necho two", line: 2},
		{lang: "", info: []string{}, text: "plain", line: 6},
		{lang: "yaml", info: []string{"file=a.yaml"}, text: "a: 1", line: 10},
	}, got)
	require.Equal(t, "echo one\necho two --for 3s", got[0].command())
	require.Equal(t, "plain", got[1].command())
}
