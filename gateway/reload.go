package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	document []byte // the topology file
	since    time.Time
	folder   *auth.Folder
	hash     string // of the folder
	identity node.Identity
	proxy    string // the credentials of the proxy, as they were read
	expires  []Expiry

	pending []string    // what waits for a restart of the process
	relinks []string    // what waits for the link server, which restarts by itself
	relink  relinkState // how that is going
	problem string      // why the files as they are now are not in force
	partial bool        // they are in part
}

// load reads topology and identity. It changes nothing.
func load(o Options) (*inForce, error) {
	data, err := os.ReadFile(o.Topology)
	if err != nil {
		return nil, fmt.Errorf("read topology: %w", err)
	}
	view, err := compile(o, data)
	if err != nil {
		return nil, err
	}
	folder, err := keystore.ReadFolder(o.Identity)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	if folder.Stamp != o.Stamp {
		return nil, fmt.Errorf("identity %s belongs to stamp %q, not %q", o.Identity, folder.Stamp, o.Stamp)
	}
	f := &inForce{view: view, router: bridge.NewRouter(view), document: data, since: time.Now(), folder: folder, hash: folder.Hash()}
	if f.expires, err = expiries(folder); err != nil {
		return nil, err
	}
	if p := view.Me.Link.Proxy; p != nil && p.CredentialsFile != "" {
		b, err := os.ReadFile(p.CredentialsFile) //nolint:gosec // the topology names it
		if err != nil {
			return nil, fmt.Errorf("read credentials of the proxy: %w", err)
		}
		f.proxy = string(b)
	}
	f.identity, err = identityOf(o.Identity, folder, view)
	f.identity.ExternalCreds = o.ExternalCredentials
	return f, err
}

// compile reads a topology file.
func compile(o Options, data []byte) (*topology.View, error) {
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
	return view, nil
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
	if len(f.PeerCert) > 0 {
		id.PeerCert, id.PeerKey = path(auth.FilePeerCert), path(auth.FilePeerKey)
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
		return watch(ctx, g.files, g.reload)
	}}
	return k.Run(ctx, func() {})
}

// files returns what is watched.
func (g *Gateway) files() []string {
	out := []string{g.opts.Topology, g.opts.Identity}
	if p := g.force.Load().view.Me.Link.Proxy; p != nil && p.CredentialsFile != "" {
		out = append(out, p.CredentialsFile)
	}
	return out
}

// reload reads the files again and puts in force what can change while the
// process runs. What is wrong or has to wait is shown in the status; then what
// was in force stays. It is false if trying again may help: what the files say
// is in order, and could not be put in force.
func (g *Gateway) reload(ctx context.Context) bool {
	g.changing.Lock()
	defer g.changing.Unlock()
	old := g.force.Load()
	next, err := load(g.opts)
	if err == nil && next.same(old) && !old.partial {
		g.settle("", false)
		return true
	}
	again := err == nil
	if err == nil {
		err = g.apply(ctx, old, next)
	} else {
		g.settle(err.Error(), old.partial)
	}
	if err != nil && old.problem != err.Error() {
		g.metrics.reloads.WithLabelValues("refused").Inc()
		g.log.Error("change not in force", "err", err)
	}
	return err == nil || !again
}

// status says what is in force, and what is not yet.
func (f *inForce) status() TopologyStatus {
	return TopologyStatus{
		Name: f.view.Name, Hash: f.view.Hash, Identity: f.hash, Err: f.problem,
		Pending: append(append([]string{}, f.pending...), f.relinks...), Relink: f.relink.due, RelinkErr: f.relink.err,
	}
}

// same reports whether both were read from the same files.
func (f *inForce) same(o *inForce) bool {
	return f.view.Hash == o.view.Hash && f.hash == o.hash && f.proxy == o.proxy
}

// settle notes what is wrong with the files, and whether only a part of them
// is in force. The caller holds changing.
func (g *Gateway) settle(problem string, partial bool) {
	g.amend(func(f *inForce) { f.problem, f.partial = problem, partial })
}

// amend changes a copy of what is in force. The caller holds changing.
func (g *Gateway) amend(change func(*inForce)) {
	f := *g.force.Load()
	change(&f)
	g.force.Store(&f)
}

// apply puts next in force. Everything that can fail without harm comes first.
// The caller holds changing.
func (g *Gateway) apply(ctx context.Context, old, next *inForce) error {
	restart, err := g.node.Reload(next.view, next.identity)
	if err != nil {
		g.settle(err.Error(), old.partial)
		return err
	}
	next.pending, next.relinks, next.relink = old.pending, old.relinks, old.relink
	switch names := pendingNames(old, next, restart); restart {
	case node.RestartProcess:
		next.pending = union(old.pending, names)
	case node.RestartLink:
		next.relinks = union(old.relinks, names)
	case node.RestartNone:
		next.relinks, next.relink = nil, relinkState{}
	}
	g.force.Store(next)
	g.metrics.topology.Reset()
	g.metrics.topology.WithLabelValues(next.view.Hash).Set(1)
	if restart == node.RestartLink {
		select {
		case g.relinkDue <- struct{}{}:
		default: // on its way
		}
	}
	if err := g.follow(ctx); err != nil {
		g.settle(err.Error(), true)
		return err
	}
	result := "applied"
	if restart != node.RestartNone {
		result = "pending"
	}
	g.metrics.reloads.WithLabelValues(result).Inc()
	g.log.Info("change in force", "hash", next.view.Hash, "pending", union(next.pending, next.relinks))
	return nil
}

// follow makes the bridge follow what is in force.
func (g *Gateway) follow(ctx context.Context) error {
	p := g.bridge.Load()
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	p.outbox.Retire()
	p.asker.Refresh()
	return errors.Join(p.outbox.NoteTopology(ctx), p.outbox.Recapture(ctx), p.live.Resubscribe())
}

// union returns the elements of a and then those of b that are not in a.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// pendingNames says by name what waits for a restart.
func pendingNames(old, next *inForce, restart node.Restart) []string {
	if restart == node.RestartNone {
		return nil
	}
	what := "waits for the link server, which restarts by itself"
	if restart == node.RestartProcess {
		what = "waits for a restart of the process"
	}
	var names []string
	for _, step := range topology.Plan(old.view.Mesh, next.view.Mesh) {
		if step.Restarts(next.view.Me.ID) {
			names = append(names, fmt.Sprintf("%s: %s", step, what))
		}
	}
	if len(names) == 0 {
		names = append(names, "change of identity or addresses: "+what)
	}
	return names
}
