package keptn

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fixtures is where recordings of the real programs lie, beside the checkout.
const fixtures = "../../../shared/fixtures"

// recorded returns the text of a recording.
func recorded(t testing.TB, folder, file string) string {
	t.Helper()
	if _, err := os.Stat(fixtures); err != nil {
		t.Skip("no recordings of the real programs beside the checkout:", fixtures)
	}
	b, err := os.ReadFile(filepath.Join(fixtures, folder, file)) //nolint:gosec // of the test
	require.NoError(t, err)
	return string(b)
}

// blockHead is the line before what one side sent.
var blockHead = regexp.MustCompile(`^---- \S+ conn=(\d+) (C->S|S->C) (\d+) bytes$`)

// A block is what one side of a connection sent at once.
type block struct {
	conn, way string
	data      []byte
}

// blocks returns a recording with its line breaks as they were.
func blocks(t testing.TB, folder, file string) []block {
	t.Helper()
	var out []block
	want := -1
	check := func() {
		if want >= 0 {
			require.Len(t, out[len(out)-1].data, want, "%s/%s: a block is not read as it was", folder, file)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(recorded(t, folder, file), "\n"), "\n") {
		if strings.HasPrefix(line, "---- ") {
			check()
			want = -1
			if m := blockHead.FindStringSubmatch(line); m != nil {
				_, err := fmt.Sscan(m[3], &want)
				require.NoError(t, err)
				out = append(out, block{conn: m[1], way: m[2]})
			}
			continue
		}
		switch {
		case strings.HasSuffix(line, `\r\n`):
			line = strings.TrimSuffix(line, `\r\n`) + "\r\n"
		case strings.HasSuffix(line, `\n`):
			line = strings.TrimSuffix(line, `\n`) + "\n"
		}
		out[len(out)-1].data = append(out[len(out)-1].data, line...)
	}
	check()
	return out
}

// An exchange is a request and its response.
type exchange struct {
	method, target string
	host           string
	header         http.Header
	body           []byte
	status         int
	reply          []byte
}

// exchanges returns the HTTP of a recording, in the order of the requests.
func exchanges(t testing.TB, folder, file string) []*exchange {
	t.Helper()
	var out []*exchange
	open := map[string][]*exchange{} // by connection
	for _, b := range blocks(t, folder, file) {
		r := bufio.NewReader(bytes.NewReader(b.data))
		if b.way == "C->S" {
			req, err := http.ReadRequest(r)
			require.NoError(t, err)
			body, err := io.ReadAll(req.Body)
			require.NoError(t, err)
			x := &exchange{method: req.Method, target: req.RequestURI, host: req.Host, header: req.Header, body: body}
			out = append(out, x)
			open[b.conn] = append(open[b.conn], x)
			continue
		}
		x := open[b.conn][0]
		open[b.conn] = open[b.conn][1:]
		resp, err := http.ReadResponse(r, &http.Request{Method: x.method})
		require.NoError(t, err)
		x.reply, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		x.status = resp.StatusCode
	}
	return out
}

// A published is a message of a recording of NATS.
type published struct{ Subject, Data string }

// messages returns the events of a recording of NATS.
func messages(t testing.TB, folder string) []published {
	t.Helper()
	var out []published
	for line := range strings.SplitSeq(strings.TrimSpace(recorded(t, folder, "nats-messages.jsonl")), "\n") {
		var p published
		require.NoError(t, json.Unmarshal([]byte(line), &p))
		out = append(out, p)
	}
	return out
}

// volatile is what differs from run to run.
var volatile = regexp.MustCompile(`("(?:id|time|lastseen|subscriptionID|keptnContext)":)"[^"]*"`)

// same requires that two JSON documents are equal but for ids and times that
// each run makes anew; byte by byte if exact.
func same(t testing.TB, want, got []byte, exact bool) {
	t.Helper()
	w, g := volatile.ReplaceAllString(string(want), `$1"*"`), volatile.ReplaceAllString(string(got), `$1"*"`)
	if exact {
		require.Equal(t, w, g)
		return
	}
	require.JSONEq(t, w, g)
}

// keys returns the keys of a JSON object in their order.
func keys(t testing.TB, doc []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	_, err := d.Token()
	require.NoError(t, err)
	var out []string
	for d.More() {
		k, err := d.Token()
		require.NoError(t, err)
		out = append(out, k.(string)) //nolint:errcheck // a key
		var v json.RawMessage
		require.NoError(t, d.Decode(&v))
	}
	return out
}
