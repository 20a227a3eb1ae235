package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrNotRunning reports a call that needs the servers before they run or after
// they stopped. Trying again helps only before.
var ErrNotRunning = errors.New("servers are not running")

// A Node is the NATS servers of one stamp. It is a run.Component. Its methods
// are safe for concurrent use.
type Node struct {
	cfg   Config
	start starter
	links *tracker
	store storeTroubles

	dialling dialling
	monitor  http.Handler
	stopMu   sync.Mutex // held while a server starts, stops or is reloaded

	mu      sync.RWMutex // guards the fields below
	plan    *plan        // in force; replaced, never changed
	linkOf  string       // linkKey of the plan that the link server was made from
	local   *engine      // nil while it does not run
	link    *engine      // nil while it does not run, and in a leaf stamp
	deliver atomic.Pointer[server.Account]
	subs    subscribers
}

// New checks cfg and reads the files it names. It opens no socket.
func New(cfg Config) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	n := &Node{cfg: cfg}
	n.monitor = n.newMonitor()
	n.links = newTracker(cfg.Log, cfg.OnLink)
	n.start = starter{timeout: cfg.StartTimeout, log: cfg.Log, note: n.hear}
	p, err := n.newPlan(cfg)
	if err != nil {
		return nil, err
	}
	n.plan = p
	return n, nil
}

// hear takes a line of a server's log.
func (n *Node) hear(line string) {
	n.links.note(line)
	n.store.note(line, time.Now())
	n.dialling.note(line, time.Now())
}

// newPlan makes a plan and tries the translation into options, so that what is
// wrong shows before anything is touched.
func (n *Node) newPlan(cfg Config) (*plan, error) {
	p := &plan{cfg: &n.cfg, view: cfg.View}
	var err error
	if p.at, err = parseListen(cfg.Listen, p.hub(), p.replicated()); err != nil {
		return nil, err
	}
	if p.creds, err = decode(cfg.Identity); err != nil {
		return nil, err
	}
	if p.tls, err = newLinkTLS(cfg.Identity, p.view.Me, cfg.Log); err != nil {
		return nil, err
	}
	p.proxyUser, p.proxyPassword, err = readProxyCredentials(cfg.View.Me.Link.Proxy)
	if err != nil {
		return nil, err
	}
	return p, p.try()
}

// try translates the plan and drops the result.
func (p *plan) try() error {
	if _, err := p.local(); err != nil {
		return err
	}
	if p.hub() {
		if _, err := p.link(); err != nil {
			return err
		}
	}
	return nil
}

// Run starts the servers, calls ready when the stamp's clients can be served,
// and stops the servers when ctx is cancelled: links first, then clients, who
// are asked to leave. Links may come up long after ready. Run is called once.
func (n *Node) Run(ctx context.Context, ready func()) error {
	unlock, err := lockDir(n.cfg.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := n.current().checkStore(); err != nil {
		return err
	}
	if err := n.up(ctx); err != nil {
		n.down()
		return err
	}
	n.links.update(n.observe(), time.Now())
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { n.links.watch(watching, n.observe) })
	wg.Go(func() { n.watchDialling(watching) })
	wg.Go(func() { n.discover(watching) })
	local := n.running()
	ready()
	select {
	case <-ctx.Done():
	case <-local.log.fatal:
		err = fmt.Errorf("run local server: %s", local.log.cause)
	}
	stop()
	wg.Wait()
	n.down()
	return err
}

// up starts the link server, since the local one dials it, and then the local
// one.
func (n *Node) up(ctx context.Context) error {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	p := n.current()
	if p.hub() {
		if err := n.startLink(ctx, p); err != nil {
			return err
		}
		p = n.current()
	}
	o, err := p.local()
	if err != nil {
		return err
	}
	e, err := n.start.start(ctx, "local server", o, p.creds.keys(localAccounts()...)...)
	if err != nil {
		return err
	}
	acc, err := e.LookupAccount(p.creds.key(DELIVER))
	if err != nil {
		e.stop()
		return fmt.Errorf("look up account %s: %w", DELIVER, err)
	}
	n.deliver.Store(acc)
	n.mu.Lock()
	defer n.mu.Unlock()
	at := p.at
	at.clients.port = portOf(e.Addr())
	if p.replicated() {
		at.routes.port = portOf(e.ClusterAddr())
	}
	n.plan, n.local = p.movedTo(at), e
	return nil
}

// startLink starts a link server made from p. Its ports are kept, so that
// those who dial it find it again. The caller holds stopMu.
func (n *Node) startLink(ctx context.Context, p *plan) error {
	o, err := p.link()
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	// A setting of the whole process, and the same for every Node in it.
	server.SetGatewaysSolicitDelay(gatewayDelay)
	e, err := n.start.start(ctx, "link server", o, p.creds.keys(linkAccounts()...)...)
	if err != nil {
		return err
	}
	at, err := e.bound(p.at)
	if err != nil {
		e.stop()
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plan, n.link, n.linkOf = p.movedTo(at), e, p.linkKey()
	return nil
}

// down stops what runs, links before clients.
func (n *Node) down() {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	n.mu.Lock()
	link, local, p := n.link, n.local, n.plan
	n.link, n.local = nil, nil
	n.mu.Unlock()
	if link != nil {
		link.stop()
	}
	switch o, err := p.local(); {
	case local == nil:
	case err == nil && n.cfg.LameDuck > 0:
		local.leave(o)
	default:
		local.stop()
	}
	n.deliver.Store(nil)
}

// movedTo returns a plan like p with the ports that were bound.
func (p *plan) movedTo(at addresses) *plan {
	moved := *p
	moved.at = at
	return &moved
}

func (n *Node) current() *plan {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.plan
}

// running returns the local server, or nil.
func (n *Node) running() *engine {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.local
}

// runningLink returns the link server, or nil.
func (n *Node) runningLink() *engine {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.link
}
