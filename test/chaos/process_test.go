package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/crash"
	"github.com/ringway/ringway/test/fed"
)

// The variables by which the executable of the tests becomes a gateway.
const (
	varOptions = "CHAOS_GATEWAY" // file with gateway.Options as JSON
	varCrash   = "CHAOS_CRASH"   // point:n:file: see arm
)

// TestMain runs the tests, or one gateway in a process that a test has started.
func TestMain(m *testing.M) {
	file := os.Getenv(varOptions)
	if file == "" {
		m.Run()
		return
	}
	if err := runGateway(file); err != nil {
		fmt.Fprintln(os.Stderr, "run gateway:", err) // its parent sees that it is not ready
	}
}

func runGateway(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var o gateway.Options
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	arm(os.Getenv(varCrash))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	g, err := gateway.New(o, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return g.Run(ctx, func() {})
}

// arm makes the process stand still at the n-th passing of a point. It says so
// by a file, for it to be killed there when what it was sent meanwhile is on
// the disk: the server itself stores events some moments after it took them.
func arm(how string) {
	part := strings.SplitN(how, ":", 3)
	if len(part) != 3 {
		return
	}
	n, err := strconv.ParseInt(part[1], 10, 64)
	if err != nil {
		return
	}
	var passed atomic.Int64
	crash.Arm(func(point string) {
		if point != part[0] || passed.Add(1) < n {
			return
		}
		_ = os.WriteFile(part[2], nil, 0o600) // its absence is noticed
		select {}
	})
}

// A process is the gateway of one stamp in a process of its own.
type process struct {
	t     *testing.T
	stamp string
	dir   string
	opts  gateway.Options
	cmd   *exec.Cmd
	log   *os.File
}

// start runs the process, armed if crash is not empty, and waits until it is
// ready.
func (p *process) start(crash string) {
	p.t.Helper()
	data, err := json.Marshal(p.opts)
	require.NoError(p.t, err)
	file := filepath.Join(p.dir, "options.json")
	require.NoError(p.t, os.WriteFile(file, data, 0o600))
	self, err := os.Executable()
	require.NoError(p.t, err)
	p.cmd = exec.CommandContext(p.t.Context(), self)
	p.cmd.Env = append(os.Environ(), varOptions+"="+file, varCrash+"="+crash)
	p.cmd.Stderr = p.log
	require.NoError(p.t, p.cmd.Start())
	require.Eventually(p.t, func() bool {
		resp, err := http.Get("http://" + p.opts.Listen.Admin + "/readyz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	}, fed.Patience, 10*time.Millisecond, "%s is not ready", p.stamp)
}

// stop ends the process in order; kill does not.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, p.cmd.Wait())
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be over already
	_ = p.cmd.Wait()         // it was killed
}

// stored waits until the process has on disk what it was sent.
func (p *process) stored() {
	p.t.Helper()
	last := -1
	require.Eventually(p.t, func() bool {
		resp, err := http.Get("http://" + p.opts.Listen.Admin + "/nats/jsz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var js struct{ Messages int }
		if json.NewDecoder(resp.Body).Decode(&js) != nil {
			return false
		}
		same := js.Messages == last
		last = js.Messages
		return same
	}, fed.Patience, 100*time.Millisecond)
}
