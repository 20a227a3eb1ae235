package bench_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/federation"
)

// A benchmark of idle processes starts this program again: roleVar says what
// the process is, optionsVar names a file with what it needs.
const (
	roleVar     = "RINGWAY_BENCH_ROLE"
	optionsVar  = "RINGWAY_BENCH_OPTIONS"
	roleServer  = "nats-server" // with JetStream, and nothing else
	roleGateway = "gateway"     // the gateways whose options the file holds
)

// play is the process of a role. It prints a line when it is ready and ends
// with its input.
func play(role, file string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the parent has gone
		cancel()
	}()
	if role == roleServer {
		return playServer(ctx, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all []gateway.Options
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	return playGateways(ctx, all)
}

func playServer(ctx context.Context, dir string) error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("server is not ready")
	}
	fmt.Println("ready")
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// playGateways starts one gateway after another: all at once are more than a
// busy machine starts in time.
func playGateways(ctx context.Context, all []gateway.Options) error {
	var wg sync.WaitGroup
	gs := make([]*gateway.Gateway, len(all))
	for i, o := range all {
		g, err := gateway.New(o, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		gs[i] = g
		ready := make(chan struct{})
		wg.Go(func() {
			if err := g.Run(ctx, func() { close(ready) }); err != nil {
				panic(fmt.Errorf("stamp %s: %w", o.Stamp, err))
			}
		})
		select {
		case <-ready:
		case <-ctx.Done():
			return nil
		}
	}
	for _, g := range gs {
		for !linksUp(g.Status()) {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	fmt.Println("ready")
	wg.Wait()
	return nil
}

// linksUp reports whether every link is up.
func linksUp(s gateway.Status) bool {
	for _, l := range s.Links {
		if !l.Up {
			return false
		}
	}
	return true
}

// A child is a process that was started for a role.
type child struct {
	tb    testing.TB
	cmd   *exec.Cmd
	ready chan struct{} // closed once it is
}

func start(tb testing.TB, role, file string) *child {
	tb.Helper()
	c := &child{tb: tb, cmd: exec.CommandContext(tb.Context(), os.Args[0]), ready: make(chan struct{})} //nolint:gosec // this program
	c.cmd.Env = append(os.Environ(), roleVar+"="+role, optionsVar+"="+file)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, c.cmd.Start())
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "ready" {
				close(c.ready)
			}
		}
	}()
	tb.Cleanup(func() {
		_ = in.Close()
		_ = c.cmd.Wait() // it may have been killed with the test's context
	})
	return c
}

func (c *child) wait() {
	c.tb.Helper()
	select {
	case <-c.ready:
	case <-time.After(2 * time.Minute):
		require.FailNow(c.tb, "process is not ready")
	}
}

// cpu returns the time that the process has used of all cores.
func (c *child) cpu() time.Duration {
	c.tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	require.NoError(c.tb, err)
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err := strconv.ParseInt(f[11], 10, 64)
	require.NoError(c.tb, err)
	system, err := strconv.ParseInt(f[12], 10, 64)
	require.NoError(c.tb, err)
	return time.Duration(user+system) * 10 * time.Millisecond // Linux counts in hundredths
}

// resident returns the memory that the process holds, in bytes.
func (c *child) resident() float64 {
	c.tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.cmd.Process.Pid))
	require.NoError(c.tb, err)
	pages, err := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	require.NoError(c.tb, err)
	return pages * float64(os.Getpagesize())
}

// manyStamps is a topology of n stamps: hubs of them are members of the
// supercluster, the rest are leaves of the first.
func manyStamps(n, hubs int) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: ringway/v1\nkind: Topology\nname: many\ngeos: [eu]\nrings: [dev]\nstamps:\n")
	for i := range n {
		if i < hubs {
			fmt.Fprintf(&b, "  - {name: s%d, geo: eu, ring: dev, trusted: true, link: {kind: hub, advertise: "+
				"{gateway: \"s%d.example:7222\", leafnode: \"s%d.example:7422\"}}}\n", i, i, i)
			continue
		}
		fmt.Fprintf(&b, "  - {name: s%d, geo: eu, ring: dev, link: {via: [s0]}}\n", i)
	}
	b.WriteString("controlPlanes: [{name: keptn, stamp: s0}]\nstages: [{name: dev, ring: dev, stamps: [s1]}]\n")
	return []byte(strings.Replace(b.String(), "trusted: true", "roles: [control]", 1))
}

// BenchmarkIdle is about a gateway of a federation of 50 stamps when nothing
// happens: as one of 50 hubs, which are linked each to each and are more than
// `ringway topology validate` finds well, as one of 10 hubs with all leaves, and as
// the only hub of 49 leaves.
func BenchmarkIdle(b *testing.B) {
	const stamps = 50
	for _, c := range []struct {
		name string
		hubs int
	}{{"hub of 50 hubs", stamps}, {"hub of 9 hubs and 40 leaves", 10}, {"hub of 49 leaves", 1}} {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			var all []gateway.Options
			line := newDirect(b)
			_, err := federation.New(federation.Config{
				Topology: manyStamps(stamps, c.hubs), Dir: b.TempDir(), Board: line, Log: slog.New(slog.DiscardHandler), Now: time.Now,
				Options: func(o *gateway.Options) { line.listen(o); all = append(all, *o) },
			})
			require.NoError(b, err)
			bare := start(b, roleServer, b.TempDir())
			one := start(b, roleGateway, optionsFile(b, all[:1]))
			others := start(b, roleGateway, optionsFile(b, all[1:]))
			for _, p := range []*child{bare, one, others} {
				p.wait()
			}
			b.ResetTimer()
			for range b.N {
				measureIdle(b, c.name, one, bare)
			}
		})
	}
}

func optionsFile(tb testing.TB, all []gateway.Options) string {
	tb.Helper()
	text, err := json.Marshal(all)
	require.NoError(tb, err)
	f, err := os.CreateTemp(tb.TempDir(), "options-*.json")
	require.NoError(tb, err)
	_, err = f.Write(text)
	require.NoError(tb, err)
	require.NoError(tb, f.Close())
	return f.Name()
}

func measureIdle(b *testing.B, name string, one, bare *child) {
	b.Helper()
	const settle, span = 25 * time.Second, 10 * time.Second
	// The memory of the start goes back, as far as it does, and servers stop
	// telling each other of themselves more often than every 10 s (nats-server,
	// heartbeatStatsz: from 250 ms on, twice as long each time).
	<-time.After(settle)
	cpu, bareCPU := one.cpu(), bare.cpu()
	<-time.After(span)
	used, bareUsed := one.cpu()-cpu, bare.cpu()-bareCPU
	share := (used - bareUsed).Seconds() / span.Seconds() * 100
	memory, bareMemory := one.resident()/(1<<20), bare.resident()/(1<<20)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(share, "%core")
	b.ReportMetric(memory-bareMemory, "MB-above")
	const command = "make bench ONLY=Idle"
	percent := func(d time.Duration) string { return fmt.Sprintf("%.1f %%", d.Seconds()/span.Seconds()*100) }
	report.add(row{
		what: "g. idle " + name + ", CPU of one core", command: command, figure: percent(used), against: percent(bareUsed) + " nats-server",
		ratio: fmt.Sprintf("+ %.1f %%", share), bar: "≤ + 2 %", met: share <= 2,
	})
	report.add(row{
		what: "g. idle " + name + ", memory", command: command, figure: fmt.Sprintf("%.0f MB", memory),
		against: fmt.Sprintf("%.0f MB nats-server", bareMemory), ratio: fmt.Sprintf("+ %.0f MB", memory-bareMemory), bar: "≤ + 60 MB",
		met: memory-bareMemory <= 60,
	})
}
