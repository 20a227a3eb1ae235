package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// separate is a federation of two hubs and a leaf over WebSocket, with
// addresses to be filled in.
const separate = `
apiVersion: ringway/v1
kind: Topology
name: separate
geos: [eu, us]
rings: [dev, prod]
stamps:
  - {name: control, geo: eu, ring: dev, roles: [control], link: {kind: hub, advertise: {gateway: "A1", leafnode: "A2", websocket: "A3"}}}
  - {name: hub, geo: us, ring: dev, trusted: true, link: {kind: hub, advertise: {gateway: "A4", leafnode: "A5"}}}
  - {name: wss, geo: us, ring: prod, link: {via: [control], transport: wss}}
controlPlanes: [{name: keptn, stamp: control}]
stages: [{name: dev, ring: dev}, {name: prod, ring: prod}]
`

// A process is one stamp: an operating-system process with nothing but its own
// folder and the topology.
type process struct {
	t      *testing.T
	binary string
	dir    string
	stamp  string
	admin  string
	client string
	env    []string // nil is this process's
	cmd    *exec.Cmd
	log    *os.File
}

// start runs the process and waits until it says that it is ready.
func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), p.binary, "run", "--config", filepath.Join(p.dir, "gateway.yaml")) //nolint:gosec // built by this test
	p.cmd.Stderr, p.cmd.Env = p.log, p.env
	require.NoError(p.t, p.cmd.Start())
	require.Eventually(p.t, func() bool {
		code, _ := p.get("/readyz")
		return code == http.StatusOK
	}, fed.Patience, 10*time.Millisecond, "%s is not ready", p.stamp)
}

func (p *process) get(path string) (int, string) {
	resp, err := http.Get("http://" + p.admin + path)
	if err != nil {
		return 0, ""
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Body.Close() != nil || err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(body)
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // it was killed
}

var capturedTotal = regexp.MustCompile(`(?m)^ringway_events_captured_total (\d+)`)

// captured waits until the process has stored and read n events since its
// start.
func (p *process) captured(n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, body := p.get("/metrics")
		m := capturedTotal.FindStringSubmatch(body)
		if m == nil {
			return false
		}
		got, err := strconv.Atoi(m[1])
		return err == nil && got >= n
	}, fed.Patience, time.Millisecond)
}

func (p *process) connect() *nats.Conn {
	p.t.Helper()
	nc, err := nats.Connect("nats://"+p.client, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.IgnoreDiscoveredServers(), natstest.OneConnection())
	require.NoError(p.t, err)
	p.t.Cleanup(nc.Close)
	return nc
}

// processes starts one process for each stamp of separate.
func processes(t *testing.T) map[string]*process {
	t.Helper()
	all := prepareProcesses(t, newBinary(t), separate)
	for _, p := range all {
		p.start()
	}
	return all
}

// newBinary builds the program.
func newBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "ringway")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/ringway/ringway/cmd/ringway").CombinedOutput() //nolint:gosec // our own
	require.NoError(t, err, string(out))
	return binary
}

// prepareProcesses is processes of another topology without starting any.
func prepareProcesses(t *testing.T, binary, declared string) map[string]*process {
	t.Helper()
	dir := t.TempDir()
	addrs := map[string]string{}
	text := regexp.MustCompile(`A\d`).ReplaceAllStringFunc(declared, func(name string) string {
		addrs[name] = natstest.Addr(t)
		return addrs[name]
	})
	mesh, err := topology.Parse("topology.yaml", []byte(text))
	require.NoError(t, err)
	store, err := keystore.Init(filepath.Join(dir, "keys"), mesh.Name, time.Now(), nil)
	require.NoError(t, err)
	all := map[string]*process{}
	for _, s := range mesh.Stamps {
		p := &process{t: t, binary: binary, dir: filepath.Join(dir, string(s.ID)), stamp: string(s.ID), admin: natstest.Addr(t), client: natstest.Addr(t)}
		folder, err := store.IssueFolder(mesh, s.ID, time.Now())
		require.NoError(t, err)
		require.NoError(t, keystore.WriteFolder(filepath.Join(p.dir, "identity"), folder))
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "topology.yaml"), []byte(text), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "gateway.yaml"), []byte(p.config(s)), 0o600))
		p.log, err = os.Create(filepath.Join(p.dir, "log"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = p.log.Close() }) // nobody reads it any more
		all[p.stamp] = p
	}
	require.NoError(t, store.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "keys")), "no process has the keys")
	t.Cleanup(func() {
		for _, p := range all {
			if p.cmd == nil {
				continue // was not started
			}
			p.kill()
			if t.Failed() {
				log, _ := os.ReadFile(p.log.Name())
				t.Logf("%s:\n%.3000s", p.stamp, log)
			}
		}
	})
	return all
}

func (p *process) config(s *topology.Stamp) string {
	a := s.Link.Advertise
	listen := fmt.Sprintf("{clients: %q, admin: %q, monitoring: off, rest: off", p.client, p.admin)
	for key, addr := range map[string]string{"gateway": a.Gateway, "leafnode": a.Leafnode, "websocket": a.WebSocket} {
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		listen += fmt.Sprintf(", %s: %q", key, addr)
	}
	return "stamp: " + p.stamp + "\nlisten: " + listen + "}\n"
}

// A plane collects the ids of the events it was given.
type plane struct {
	t    *testing.T
	nc   *nats.Conn
	sub  *nats.Subscription
	mark *nats.Subscription
	seen []string
}

// marked is the subject of what a trial sends to know that a gateway has noted
// what it gave before.
const marked = "sh.keptn.event.mark.triggered"

func newPlane(p *process, subject string) *plane {
	p.t.Helper()
	nc := p.connect()
	sub, err := nc.QueueSubscribeSync(subject, "service")
	require.NoError(p.t, err)
	mark, err := nc.SubscribeSync(marked)
	require.NoError(p.t, err)
	require.NoError(p.t, nc.Flush())
	return &plane{t: p.t, nc: nc, sub: sub, mark: mark}
}

// collect waits for n events more than it has seen. One that a gateway had given,
// and had not noted when it was killed, may come again to planes that do not
// answer.
func (p *plane) collect(n int) {
	p.t.Helper()
	for want := len(unique(p.seen)) + n; len(unique(p.seen)) < want; {
		m, err := p.sub.NextMsg(fed.Patience)
		require.NoError(p.t, err, "after %d events", len(p.seen))
		p.seen = append(p.seen, string(m.Data))
	}
}

const batch, contexts = 100, 5

// A trial publishes in control for the planes of hub and wss.
type trial struct {
	t        *testing.T
	all      map[string]*process
	keptn    *nats.Conn
	hub, wss *plane
	answers  *plane
	sent     int // in each stage
	marks    int
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	return newTrialOf(t, processes(t))
}

func newTrialOf(t *testing.T, all map[string]*process) *trial {
	t.Helper()
	return &trial{
		t: t, all: all, keptn: all["control"].connect(),
		hub: newPlane(all["hub"], triggered), wss: newPlane(all["wss"], triggered), answers: newPlane(all["control"], finished),
	}
}

// publish sends a batch to each stage and returns when the server has it.
func (r *trial) publish() {
	r.t.Helper()
	for range batch {
		for _, stage := range []string{"dev", "prod"} {
			require.NoError(r.t, r.keptn.Publish(triggered, event(triggered, stage+strconv.Itoa(r.sent), stage, stage+strconv.Itoa(r.sent%contexts))))
		}
		r.sent++
	}
	require.NoError(r.t, r.keptn.FlushTimeout(fed.Patience))
}

func (r *trial) collect() {
	r.t.Helper()
	r.hub.collect(batch)
	r.wss.collect(batch)
}

// noted returns when the gateways of the planes have noted what the planes have
// seen: a mark comes after that.
func (r *trial) noted() {
	r.t.Helper()
	for stage, p := range map[string]*plane{"dev": r.hub, "prod": r.wss} {
		r.marks++
		require.NoError(r.t, r.keptn.Publish(marked, event(marked, "mark"+strconv.Itoa(r.marks), stage, "mark")))
		_, err := p.mark.NextMsg(fed.Patience)
		require.NoError(r.t, err)
	}
}

// killEach kills every process once, at another point of the way of events.
func (r *trial) killEach() {
	r.t.Helper()
	r.publish()
	r.collect()
	for _, name := range []string{"wss", "hub"} { // receivers: what they have not got waits elsewhere
		r.noted()
		r.all[name].kill()
		r.publish()
		r.all[name].start()
		r.collect()
	}
	r.publish() // the sender, with events captured and not all forwarded
	r.all["control"].captured(r.sent*2 + r.marks)
	r.all["control"].kill()
	r.all["control"].start()
	r.collect()
	require.Eventually(r.t, r.keptn.IsConnected, fed.Patience, time.Millisecond)
	require.Eventually(r.t, r.answers.nc.IsConnected, fed.Patience, time.Millisecond)
	require.NoError(r.t, r.answers.nc.FlushTimeout(fed.Patience))
	r.answer("wss", r.wss)
	r.answer("hub", r.hub)
	r.answers.collect(2 * r.sent)
}

// answer sends an answer for every event a plane saw, and kills the stamp when
// it has captured them.
func (r *trial) answer(name string, p *plane) {
	r.t.Helper()
	require.Eventually(r.t, p.nc.IsConnected, fed.Patience, time.Millisecond)
	for _, body := range p.seen {
		require.NoError(r.t, p.nc.Publish(finished, []byte(strings.ReplaceAll(body, "triggered\"", "finished\""))))
	}
	require.NoError(r.t, p.nc.FlushTimeout(fed.Patience))
	r.all[name].captured(len(p.seen))
	r.all[name].kill()
	r.all[name].start()
}

// TestKilledGatewayLosesNothing: separate processes, each killed with events on
// their way, and every event arrives.
func TestKilledGatewayLosesNothing(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	r.killEach()
	for _, got := range []*plane{r.hub, r.wss} {
		require.Len(t, unique(got.seen), r.sent)
	}
	require.Len(t, unique(r.answers.seen), 2*r.sent)
	p := r.all["control"]
	out, err := exec.CommandContext(t.Context(), p.binary, "events", "dlq", "list", "--admin", "http://"+p.admin).CombinedOutput() //nolint:gosec // built by this test
	require.NoError(t, err)
	require.Equal(t, "no dead letters\n", string(out))
}

// TestKilledGatewayRepeatsNothing: the same, and no event arrives twice or out
// of order; markers sent last are the last to arrive.
func TestKilledGatewayRepeatsNothing(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	r.killEach()
	r.publish()
	r.collect()
	for stage, got := range map[string]*plane{"dev": r.hub, "prod": r.wss} {
		var plain []string
		for _, b := range got.seen {
			plain = append(plain, strings.ReplaceAll(b, `"id":"`+stage, `"id":"`))
		}
		requireInOrder(t, plain, r.sent, contexts)
	}
	require.Len(t, unique(r.answers.seen), len(r.answers.seen))
}

func unique(list []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}
