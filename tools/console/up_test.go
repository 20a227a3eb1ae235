package console

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ringway builds the program of this checkout once.
var ringway = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs("../../.bin/ringway")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./cmd/ringway")
	cmd.Dir = "../.."
	return path, cmd.Run()
})

// upStamp is a line of what ringway up prints of each stamp.
var upStamp = regexp.MustCompile(`s {4}(\S+) +nats://\S+ `)

// up runs a federation and returns where its console is, and its stamps.
func up(t *testing.T, args ...string) (url string, stamps []string) {
	t.Helper()
	path, err := ringway()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.Background(), path, append([]string{"up", "--plain", "--dir", t.TempDir()}, args...)...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	found := make(chan struct{})
	var said strings.Builder
	var wg sync.WaitGroup
	wg.Go(func() {
		lines, open := bufio.NewScanner(out), true
		for lines.Scan() { // to the end: it must not wait for a reader
			if !open {
				continue
			}
			said.WriteString(lines.Text() + "\n")
			if m := upStamp.FindStringSubmatch(lines.Text()); m != nil {
				stamps = append(stamps, m[1])
			}
			if _, after, ok := strings.Cut(lines.Text(), "console, for a browser: "); ok {
				url, open = after, false
				close(found)
			}
		}
		if open {
			close(found)
		}
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to sum up for us
		wg.Wait()
		_ = cmd.Wait()
	})
	select {
	case <-found:
	case <-time.After(90 * time.Second):
		require.Fail(t, "ringway up is not ready")
	}
	require.NotEmpty(t, url, said.String())
	return url, stamps
}

// event returns the id and the shkeptncontext of the next event that takes a
// step, one of a task.
func event(t *testing.T, url, step string) (id, keptn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "console/")+"events/tail?step="+step, nil)
	require.NoError(t, err)
	r, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = r.Body.Close() }()
	require.Equal(t, http.StatusOK, r.StatusCode)
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		var e struct {
			ID, Type string
			Context  string `json:"shkeptncontext"`
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.ID != "" && e.Context != "" && strings.HasSuffix(e.Type, ".triggered") {
			return e.ID, e.Context
		}
	}
	require.Fail(t, "no event came")
	return "", ""
}
