package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/catch"
	"github.com/ringway/ringway/bridge/ctl"
	"github.com/ringway/ringway/bridge/deadletter"
	"github.com/ringway/ringway/bridge/hold"
	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/bridge/lead"
	"github.com/ringway/ringway/bridge/plane"
	"github.com/ringway/ringway/bridge/poll"
	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/gateway/admin"
	"github.com/ringway/ringway/gateway/console"
	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/internal/run"
	"github.com/ringway/ringway/topology"
)

// A Gateway is the process of one stamp. Its methods are safe for concurrent
// use.
type Gateway struct {
	opts    Options
	log     *slog.Logger
	reg     *prometheus.Registry
	metrics *metrics
	node    *node.Node
	admin   *admin.Server
	console *console.Console
	monitor *admin.Pages // nil: off
	face    *face.Face   // nil: off
	board   *board
	since   time.Time
	ready   atomic.Bool
	force   atomic.Pointer[inForce]
	bridge  atomic.Pointer[parts]
	poll    atomic.Pointer[poll.Server] // nil: not yet
	letters atomic.Pointer[deadletter.Box]
	hold    atomic.Pointer[hold.Keeper] // nil: not yet
	level   levelSwitch
	// troubles of the store as last looked at; nil: not yet
	troubles atomic.Pointer[[]node.StoreTrouble]
	damaged  atomic.Pointer[[]string]      // what was wrong with it at the start
	lease    atomic.Pointer[lead.Lease]    // nil: not yet, or one replica
	catcher  atomic.Pointer[catch.Catcher] // the same
	rest     rest                          // how far a replica is with its stop
	tunnel   atomic.Pointer[tunnel.Client] // nil: not yet
	handlers atomic.Pointer[[]call.Handler]
	planes   atomic.Pointer[plane.Registry] // nil: not yet
	routing  atomic.Pointer[knowing]        // nil: not yet
	clinic   clinic
	probes   probes
	denied   atomic.Pointer[denial]    // nil: nothing yet
	ctl      atomic.Pointer[ctl.Asker] // nil: not yet
	journal  *journal.Journal          // nil: it is off
	tracing  *tracing                  // nil: it is off
	relay    atomic.Pointer[nats.Conn] // to the other replicas; nil: there are none, or not yet

	changing  sync.Mutex    // held while what is in force changes
	ways      ways          // asked by a replica that stands by
	relinkDue chan struct{} // one place: the link server has to restart
}

// New reads the files that o names, checks everything that can be checked
// before it starts, and binds the admin addresses. What it returns must be
// run, which closes them again.
func New(o Options, log *slog.Logger) (*Gateway, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("check options: %w", err)
	}
	f, err := load(o)
	if err != nil {
		return nil, err
	}
	g := &Gateway{opts: o, reg: prometheus.NewRegistry(), board: newBoard(), since: time.Now(), relinkDue: make(chan struct{}, 1)}
	g.level.configured = o.Log.Level
	g.log = g.level.logger(log)
	g.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g.metrics = newMetrics(g.reg)
	g.openJournal()
	g.force.Store(f)
	if err := g.openTracing(); err != nil {
		return nil, err
	}
	g.metrics.topology.WithLabelValues(f.view.Hash).Set(1)
	if g.node, err = node.New(g.nodeConfig(f)); err != nil {
		return nil, fmt.Errorf("set up NATS: %w", err)
	}
	g.replicaMetrics()
	g.reg.MustRegister(newVitals(g))
	return g, g.listen()
}

func (g *Gateway) nodeConfig(f *inForce) node.Config {
	l := g.opts.Listen
	return node.Config{
		View: f.view, Identity: f.identity, Dir: g.opts.Data, Log: g.log,
		Listen:       node.Listen{Clients: l.Clients, Gateway: l.Gateway, Leafnode: l.Leafnode, WebSocket: l.WebSocket, Routes: l.Routes, LinkRoutes: l.LinkRoutes},
		Replica:      node.Replica(g.opts.Replica),
		SyncInterval: g.opts.Events.SyncInterval,
		LameDuck:     g.opts.StopGrace / 10,
		OnLink:       g.onLink,
	}
}

// errNotActive reports a question to a replica that stands by.
var errNotActive = errors.New("this replica does not deliver; ask the active one")

// listen binds the admin face, the monitoring pages and the HTTP face.
func (g *Gateway) listen() error {
	var err error
	if g.console, err = g.newConsole(); err != nil {
		return err
	}
	g.admin, err = admin.New(admin.Config{
		Listen: g.opts.Listen.Admin, Ready: g.readiness, Status: func() any { return g.Status() },
		Letters: func() admin.Letterbox {
			if b := g.letters.Load(); b != nil {
				return letterbook{b, g}
			}
			return nil
		},
		Federation: func(ctx context.Context) any { return g.Federation(ctx) },
		Examine:    func(ctx context.Context, all bool) any { return g.Examine(ctx, all) },
		Support:    func() any { return g.Support() },
		Order:      func(ctx context.Context, body []byte) (any, error) { return g.Order(ctx, body) },
		Cross:      func(ctx context.Context, id string) (any, error) { return g.Cross(ctx, id) },
		Waiting:    g.waitingEvents,
		Why:        func(ctx context.Context, match string) (any, error) { return g.Why(ctx, match) },
		Tail:       g.followEvents,
		Planes:     g.planeList,
		Console:    g.console,
		Metrics:    promhttp.HandlerFor(g.reg, promhttp.HandlerOpts{}),
		Monitor:    http.HandlerFunc(g.serveMonitor),
	})
	if err != nil {
		return err
	}
	if g.opts.Listen.Monitoring != "off" {
		g.monitor, err = admin.NewPages(g.opts.Listen.Monitoring, http.HandlerFunc(g.serveMonitor))
		if err != nil {
			return errors.Join(err, g.admin.Close())
		}
	}
	if err = g.openFace(); err != nil {
		err = errors.Join(fmt.Errorf("open HTTP face: %w", err), g.admin.Close())
		if g.monitor != nil {
			err = errors.Join(err, g.monitor.Close())
		}
	}
	return err
}

// waitingEvents is what the admin face shows at /events/waiting.
func (g *Gateway) waitingEvents(ctx context.Context, match string, limit int) (any, error) {
	if p := g.bridge.Load(); p != nil {
		return p.inbox.WaitingEvents(ctx, match, limit)
	}
	return nil, errNotActive
}

func (g *Gateway) serveMonitor(w http.ResponseWriter, r *http.Request) {
	g.node.Monitor().ServeHTTP(w, r)
}

// Run serves until ctx is cancelled or a part fails for good. It calls ready
// when the stamp's clients can be served and events move. Everything that it
// started has stopped when it returns. Run may be called once.
func (g *Gateway) Run(ctx context.Context, ready func()) error {
	s := run.Stack{Grace: g.opts.StopGrace}
	s.Push("admin", g.admin) // last to go: it says how the stop is going
	s.Push("console", g.console)
	if g.monitor != nil {
		s.Push("monitoring", g.monitor)
	}
	if g.tracing != nil {
		s.Push("tracing", run.Func(g.runTracing)) // hears of all others
	}
	s.Push("nats", g.node)
	s.Push("store", run.Func(g.watchStore))
	s.Push("bridge", run.Func(g.runBridge))
	s.Push("http", run.Func(g.runHTTP))
	s.Push("link restarts", run.Func(g.relink))
	s.Push("reload", run.Func(g.watchFiles)) // first to go
	err := s.Run(ctx, func() {
		g.ready.Store(true)
		g.metrics.ready.Set(1)
		ready()
	})
	g.ready.Store(false)
	return err
}

func (g *Gateway) readiness() (bool, string) {
	s := g.Status()
	if !s.Ready {
		return false, "not ready: " + strings.Join(s.Causes, "; ")
	}
	if s.Condition == ConditionDegraded {
		return true, "ready, degraded: " + strings.Join(s.Causes, "; ")
	}
	return true, "ready"
}

// tasksShown bounds the tasks in a Status.
const tasksShown = 100

// Status returns how the gateway is now.
func (g *Gateway) Status() Status {
	f := g.force.Load()
	s := Status{
		Stamp: f.view.Me.ID, Geo: f.view.Me.Geo, Ring: f.view.Me.Ring, Version: Version(), At: time.Now().UTC(), Since: g.since,
		Ready: g.ready.Load(), Parts: g.board.snapshot(),
		Topology: f.status(), Expires: f.expires,
		Links: []LinkStatus{}, Peers: []PeerStatus{}, Targets: []TargetStatus{},
	}
	if s.Ready {
		s.Clients, s.REST = g.node.ClientURL(), g.RESTURL()
	}
	for _, l := range g.node.Links() {
		ls := LinkStatus{Peer: string(l.Peer), Kind: string(l.Kind), Addr: l.Addr, Up: l.Up, Since: l.Since, Err: plain(l.Err)}
		if l.RTT > 0 {
			ls.RTT = l.RTT.String()
		}
		s.Links = append(s.Links, ls)
	}
	s.Replica = g.replicaStatus()
	s.Planes = g.planeStatus()
	s.Store = []string{}
	if t := g.troubles.Load(); t != nil {
		s.Store = storeCauses(*t)
	}
	if d := g.damaged.Load(); d != nil {
		s.Store = append(s.Store, *d...)
	}
	if p := g.bridge.Load(); p != nil {
		s.Targets = targetStatus(p.outbox.Lanes())
		s.Waiting = p.inbox.Waiting()
		s.Tasks = p.tasks.List(tasksShown)
		s.Polled = p.pull.States()
		s.Running = p.tasks.Running()
		s.Takeover, s.takeoverCauses = g.takeoverStatus(p)
		s.Peers = g.peerStatus(f.view, p.asker.Peers(), s.Links, time.Now())
	}
	g.holdStatus(&s)
	s.judge()
	return s
}

// Router returns the router in force, which knows what is known of planes.
func (g *Gateway) Router() *bridge.Router {
	base := g.force.Load().router
	r := g.planes.Load()
	if r == nil {
		return base
	}
	planes := r.Takers()
	if was := g.routing.Load(); was != nil && was.base == base && was.planes == planes {
		return was.router
	}
	is := &knowing{base: base, planes: planes, router: base.Knowing(planes)}
	g.routing.Store(is)
	return is.router
}

// knowing is a router that knows of planes, and what it was made of.
type knowing struct {
	base   *bridge.Router
	planes *bridge.Planes
	router *bridge.Router
}

// ClientURL returns where the stamp's clients find NATS. It is known once the
// gateway is ready.
func (g *Gateway) ClientURL() string { return g.node.ClientURL() }

// ClientAddr returns the same as host:port.
func (g *Gateway) ClientAddr() string { return strings.TrimPrefix(g.node.ClientURL(), "nats://") }

// LinkAddrs returns where the link server of a hub listens for others, as
// host:port. It is known once the gateway is ready.
func (g *Gateway) LinkAddrs() topology.Advertise {
	host := func(url string) string { return url[strings.Index(url, "//")+len("//"):] }
	return topology.Advertise{
		Gateway: g.node.GatewayAddr(), Leafnode: host(g.node.LeafnodeURL()), WebSocket: host(g.node.WebsocketURL()),
	}
}

// AdminURL returns where the admin face is.
func (g *Gateway) AdminURL() string { return "http://" + g.admin.Addr() }
