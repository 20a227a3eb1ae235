package face

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/topology"
)

// Who may ask for targets below /t/.
const (
	TunnelSources = "sources" // whoever connects from Config.Sources
	TunnelToken   = "token"   // who shows a token
	TunnelOff     = "off"     // nobody
)

// AllNames is the name of a listener for every service of Keptn's cluster.
const AllNames = "*"

// Defaults of Config.
const (
	DefaultMaxRequest = 5 << 20          // what Keptn's own gateway takes
	DefaultIdle       = 30 * time.Second // how long Keptn's clients wait
	defaultDomain     = "cluster.local"
)

const (
	headTime       = 10 * time.Second // for the head of a request
	keepTime       = 2 * time.Minute  // for the next request on a connection
	maxHeader      = 32 << 10         // of a request, in bytes
	bodyTime       = 30 * time.Second // for the body of a call to Keptn
	maxConnections = 2000             // of one source
	graceTime      = 2 * time.Second  // for requests under way when it stops
)

// Config is what a Face needs. Me, Listen, Sources, Control, Targets and Log
// are required; its functions are called from many goroutines.
type Config struct {
	Me     topology.StampID
	Listen string // host:port; port 0 is chosen
	// Names are listeners of services by their name in Keptn's cluster, or of all
	// of them by AllNames.
	Names     map[string]string
	Cert, Key string // files; read again when they change. Empty: no TLS
	NamesTLS  bool   // Names use them, too

	Tokens    string  // folder of files, one a plane; empty: none
	Review    *Review // nil: tokens of ServiceAccounts are not asked for
	Anonymous bool    // clients from Sources may use the public API without a token
	Tunnel    string  // who may use /t/; empty: TunnelSources
	// Sources are where clients without a token may connect from.
	Sources func() []netip.Prefix
	// Proxies are believed what X-Forwarded-For says of where a request comes from.
	Proxies []netip.Prefix

	MaxRequest    int64         // of a call to Keptn, in bytes; 0 is 5 MiB
	Idle          time.Duration // how long a read or a write may take; 0 is 30 s
	ClusterDomain string        // empty: cluster.local
	// MaxConnections bounds those of one source to one listener; 0 is 2,000.
	MaxConnections int

	// Calls are asked in order; what none takes goes to Control.
	Calls   func() []call.Handler
	Control func(w http.ResponseWriter, r *http.Request, c call.Call)
	// Targets answers a request for a target, whose own request target is rest.
	// strip names headers that hold tokens of this stamp.
	Targets func(w http.ResponseWriter, r *http.Request, stamp topology.StampID, target, rest string, strip []string)

	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// A Face serves HTTP to the clients of a stamp. It is a run.Component.
type Face struct {
	cfg      Config
	tokens   *tokenFolder // nil: none
	review   *reviewer    // nil: none
	limit    *limiter
	denied   map[string]tunnel.Rules // of the public API, by service
	metrics  *metrics
	servers  []*server
	handlers sync.WaitGroup
}

// A server is one listener.
type server struct {
	name string // of Config.Names; empty: of everything
	ln   net.Listener
	http *http.Server
	tls  bool
}

// New checks cfg and binds the addresses, so that they are known before Run.
func New(cfg Config) (*Face, error) {
	if cfg.Me == "" || cfg.Sources == nil || cfg.Control == nil || cfg.Targets == nil || cfg.Log == nil {
		return nil, errors.New("HTTP face: incomplete configuration")
	}
	cfg.MaxRequest = cmp.Or(cfg.MaxRequest, DefaultMaxRequest)
	cfg.Idle = cmp.Or(cfg.Idle, DefaultIdle)
	cfg.Tunnel = cmp.Or(cfg.Tunnel, TunnelSources)
	cfg.ClusterDomain = cmp.Or(cfg.ClusterDomain, defaultDomain)
	cfg.MaxConnections = cmp.Or(cfg.MaxConnections, maxConnections)
	f := &Face{cfg: cfg, metrics: newMetrics(cfg.Metrics), limit: newLimiter(), denied: map[string]tunnel.Rules{}}
	for _, service := range hostNames {
		f.denied[service] = tunnel.KeptnServiceRules(service)
	}
	var err error
	if cfg.Tokens != "" {
		if f.tokens, err = newTokenFolder(cfg.Tokens, cfg.Log); err != nil {
			return nil, err
		}
	}
	if cfg.Review != nil {
		if f.review, err = newReviewer(*cfg.Review, cfg.Log); err != nil {
			return nil, err
		}
	}
	var pair *keyPair
	if cfg.Cert != "" {
		if pair, err = newKeyPair(cfg.Cert, cfg.Key); err != nil {
			return nil, err
		}
	}
	if err = f.bind("", cfg.Listen, pair, f.serve); err != nil {
		return nil, err
	}
	if !cfg.NamesTLS {
		pair = nil
	}
	for name, listen := range cfg.Names {
		service := hostNames[name]
		if service == "" && name != AllNames {
			err = fmt.Errorf("listen for %q: it is no service of Keptn", name)
		} else {
			err = f.bind(name, listen, pair, func(w http.ResponseWriter, r *http.Request) { f.serveName(w, r, service) })
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// bind opens a listener.
func (f *Face) bind(name, listen string, pair *keyPair, h http.HandlerFunc) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	s := &server{name: name, ln: &lines{
		Listener: ln, lingering: &f.handlers, most: f.cfg.MaxConnections, open: map[netip.Addr]int{},
		crowded: f.metrics.refused.WithLabelValues(string(kindNone), reasonCrowded),
	}, tls: pair != nil, http: &http.Server{
		Handler:           f.paced(h),
		ReadHeaderTimeout: headTime, IdleTimeout: keepTime, MaxHeaderBytes: maxHeader,
		ConnState: f.counted, ConnContext: withLine,
		ErrorLog: slog.NewLogLogger(f.cfg.Log.Handler(), slog.LevelDebug),
	}}
	if pair != nil {
		s.http.TLSConfig = pair.config()
	}
	f.servers = append(f.servers, s)
	return nil
}

// Addr returns where the public face listens, as host:port.
func (f *Face) Addr() string { return f.servers[0].ln.Addr().String() }

// NameAddr returns the same of a listener of Config.Names.
func (f *Face) NameAddr(name string) string {
	for _, s := range f.servers[1:] {
		if s.name == name {
			return s.ln.Addr().String()
		}
	}
	return ""
}

// URL returns Addr as a URL.
func (f *Face) URL() string {
	if f.servers[0].tls {
		return "https://" + f.Addr()
	}
	return "http://" + f.Addr()
}

// Close frees the addresses of a Face that was never run.
func (f *Face) Close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.ln.Close())
	}
	return errors.Join(errs...)
}

// Run serves until ctx is cancelled, and gives requests under way two seconds
// then. Those that have changed the protocol go on until their connections end:
// see Wait.
func (f *Face) Run(ctx context.Context, ready func()) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	failed := make(chan error, len(f.servers))
	var serving sync.WaitGroup
	for _, s := range f.servers {
		s.http.BaseContext = func(net.Listener) context.Context { return base }
		serving.Go(func() {
			if err := s.serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", s.ln.Addr(), err)
			}
		})
	}
	ready()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	grace, cancel := context.WithTimeout(base, graceTime)
	defer cancel()
	var stopping sync.WaitGroup
	for _, s := range f.servers {
		stopping.Go(func() {
			if s.http.Shutdown(grace) != nil {
				cut()
				_ = s.http.Close() // cuts what is left
			}
		})
	}
	stopping.Wait()
	serving.Wait()
	if f.review != nil {
		f.review.close()
	}
	return err
}

func (s *server) serve() error {
	if s.tls {
		return s.http.ServeTLS(s.ln, "", "") //nolint:wrapcheck // Run says where
	}
	return s.http.Serve(s.ln) //nolint:wrapcheck // the same
}

// Wait returns when no request is under way any more. Whatever answers them must
// have ended before, or it does not return.
func (f *Face) Wait() { f.handlers.Wait() }

// counted keeps count of connections.
func (f *Face) counted(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		f.metrics.connections.Inc()
	case http.StateHijacked, http.StateClosed:
		f.metrics.connections.Dec()
	case http.StateActive, http.StateIdle:
	}
}

// paced holds clients to time.
func (f *Face) paced(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.handlers.Add(1)
		defer f.handlers.Done()
		p := newPaced(w, f.cfg.Idle)
		defer p.end()
		if p.read.Store(r.Body == nil || r.Body == http.NoBody); !p.read.Load() {
			r = r.WithContext(r.Context())
			p.body = &pacedBody{r.Body, p}
			r.Body = p.body
			if l, ok := r.Context().Value(lineKey{}).(*line); ok && r.ProtoMajor == 1 {
				p.line = l
			}
		}
		h(p, r)
	})
}

// mayConnect reports whether a client may be served without a token.
func (f *Face) mayConnect(source netip.Addr) bool {
	return slices.ContainsFunc(f.cfg.Sources(), func(p netip.Prefix) bool { return p.Contains(source) })
}
