package readme_test

import (
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

// script returns what to run: the block, with what stands after + in its info
// added to its last command.
func (b block) script() string {
	for i, w := range b.info {
		if w == "+" {
			return strings.TrimRight(b.text, " \n") + " " + strings.Join(b.info[i+1:], " ")
		}
	}
	return b.text
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	got := blocks("text\n```sh run + --for 3s\necho one\necho two\n```\n```\nplain\n```\n~\n```yaml file=a.yaml\na: 1\n```\n")
	require.Equal(t, []block{
		{lang: "sh", info: []string{"run", "+", "--for", "3s"}, text: "echo one\necho two", line: 2},
		{lang: "", info: []string{}, text: "plain", line: 6},
		{lang: "yaml", info: []string{"file=a.yaml"}, text: "a: 1", line: 10},
	}, got)
	require.Equal(t, "echo one\necho two --for 3s", got[0].script())
	require.Equal(t, "plain", got[1].script())
}
