package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

// inForce is everything that a reload replaces. It is never changed.
type inForce struct {
	view     *topology.View
	router   *bridge.Router
	folder   *auth.Folder
	identity node.Identity
	pending  []string // what waits for a restart
	problem  string   // why the files as they are now are not in force
}

// load reads topology and identity. It changes nothing.
func load(o Options) (*inForce, error) {
	data, err := os.ReadFile(o.Topology)
	if err != nil {
		return nil, fmt.Errorf("read topology: %w", err)
	}
	spec, err := topology.Load(o.Topology, data)
	if err != nil {
		return nil, err
	}
	mesh, err := topology.Compile(spec)
	if err != nil {
		return nil, err
	}
	view, ok := mesh.Reaching(o.Reach).View(o.Stamp)
	if !ok {
		return nil, fmt.Errorf("topology %s has no stamp %q", o.Topology, o.Stamp)
	}
	folder, err := keystore.ReadFolder(o.Identity)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	if folder.Stamp != o.Stamp {
		return nil, fmt.Errorf("identity %s belongs to stamp %q, not %q", o.Identity, folder.Stamp, o.Stamp)
	}
	f := &inForce{view: view, router: bridge.NewRouter(view), folder: folder}
	f.identity, err = identityOf(o.Identity, folder, view)
	return f, err
}

// identityOf translates a folder into what the servers need.
func identityOf(dir string, f *auth.Folder, view *topology.View) (node.Identity, error) {
	sentinel, err := f.Sentinel(view)
	if err != nil {
		return node.Identity{}, fmt.Errorf("make token for clients without credentials: %w", err)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	id := node.Identity{
		Operator: f.Operator,
		Accounts: map[node.Account]string{
			node.SYS: f.Sys, node.FED: f.Fed, node.APP: f.App, node.RELAY: f.Relay, node.DELIVER: f.Deliver,
		},
		Sentinel:  sentinel,
		LeafCreds: path(auth.FileLeafCreds),
		CA:        path(auth.FileCA),
	}
	if view.Me.Link.Kind == topology.LinkHub {
		id.GatewayCert, id.GatewayKey = path(auth.FileGatewayCert), path(auth.FileGatewayKey)
		id.LinkCert, id.LinkKey = path(auth.FileLinkCert), path(auth.FileLinkKey)
	}
	return id, nil
}

// watchFiles reloads when a file changes.
func (g *Gateway) watchFiles(ctx context.Context, ready func()) error {
	ready()
	k := keeper{name: "file watch", board: g.board, log: g.log, run: func(ctx context.Context, ready func()) error {
		ready()
		return watch(ctx, []string{g.opts.Topology, g.opts.Identity}, g.reload)
	}}
	return k.Run(ctx, func() {})
}

// reload reads the files again and puts in force what can change while the
// process runs. What is wrong or has to wait is shown in the status; then what
// was in force stays.
func (g *Gateway) reload(ctx context.Context) {
	old := g.force.Load()
	next, err := load(g.opts)
	if err == nil && next.view.Hash == old.view.Hash && next.folder.Hash() == old.folder.Hash() {
		g.settle(old, "")
		return
	}
	if err == nil {
		err = g.apply(ctx, old, next)
	}
	if err != nil {
		g.metrics.reloads.WithLabelValues("refused").Inc()
		g.log.Error("change not in force", "err", err)
		g.settle(old, err.Error())
	}
}

// settle keeps f in force and notes what is wrong with the files.
func (g *Gateway) settle(f *inForce, problem string) {
	if f.problem == problem {
		return
	}
	kept := *f
	kept.problem = problem
	g.force.Store(&kept)
}

// apply puts next in force. Everything that can fail without harm comes first.
func (g *Gateway) apply(ctx context.Context, old, next *inForce) error {
	restart, err := g.node.Reload(next.view, next.identity)
	if err != nil {
		return err
	}
	next.pending = pendingNames(old, next, restart)
	g.force.Store(next)
	g.metrics.topology.Reset()
	g.metrics.topology.WithLabelValues(next.view.Hash).Set(1)
	if p := g.bridge.Load(); p != nil {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := p.outbox.Recapture(ctx); err != nil {
			return err
		}
		if err := p.live.Resubscribe(); err != nil {
			return err
		}
		p.asker.Refresh()
	}
	result := "applied"
	if len(next.pending) > 0 {
		result = "pending"
	}
	g.metrics.reloads.WithLabelValues(result).Inc()
	g.log.Info("change in force", "hash", next.view.Hash, "pending", next.pending)
	return nil
}

// pendingNames says by name what waits for a restart.
func pendingNames(old, next *inForce, restart node.Restart) []string {
	if restart == node.RestartNone {
		return nil
	}
	what := "restart of the link server"
	if restart == node.RestartProcess {
		what = "restart of the process"
	}
	var names []string
	for _, step := range topology.Plan(old.view.Mesh, next.view.Mesh) {
		if step.Restarts(next.view.Me.ID) {
			names = append(names, fmt.Sprintf("%s: waits for a %s", step, what))
		}
	}
	if len(names) == 0 {
		names = append(names, what)
	}
	return names
}
