package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/ringway/ringway/topology"
)

// Defaults of Config.
const (
	DefaultSyncInterval = 2 * time.Second         // what a power cut may cost on one replica
	DefaultStartTimeout = 10 * time.Second        // a store of some GB recovers in less
	DefaultPingInterval = 3500 * time.Millisecond // a dead link is closed within four of them: 14 s
)

// A Config is what a Node is made of. View, Identity, Dir and Listen are
// needed; the zero value of every other field is a default.
type Config struct {
	View     *topology.View
	Identity Identity

	// Dir is where streams are stored. It is made if it is not there and
	// belongs to one Node at a time.
	Dir string

	Listen Listen

	// Replica is needed if the topology says more than one.
	Replica Replica

	// Log gets the life of the servers; nil is nobody.
	Log *slog.Logger

	// OnLink is told of every link that goes up or down, one at a time, from
	// one goroutine. It must not block and must not call the Node.
	OnLink func(LinkState)

	// SyncInterval is how often streams are forced to the disk. 0 is
	// DefaultSyncInterval.
	SyncInterval time.Duration

	// MaxStore and MaxMemory bound JetStream, in bytes; 0 is what the server
	// finds: three quarters of the free disk and of the memory.
	MaxStore, MaxMemory int64

	// LameDuck is how long clients are given to go elsewhere when the Node
	// stops. 0 closes them at once.
	LameDuck time.Duration

	// PingInterval is how often the other end of a connection is asked whether
	// it is there. One that is silent is closed after two to three intervals by
	// the end that dialled, and after four at the latest by the other.
	// 0 is DefaultPingInterval.
	PingInterval time.Duration

	// StartTimeout is how long each server may take to come up. 0 is
	// DefaultStartTimeout.
	StartTimeout time.Duration
}

// A Listen says where a Node listens, each as host:port. An empty host is
// every interface; port 0 is chosen, reported by the Node's methods and kept
// over restarts of the link server. An empty address is port 0 of loopback,
// but for WebSocket, where it is no listener at all.
type Listen struct {
	Clients   string
	Gateway   string // hubs only
	Leafnode  string // hubs only
	WebSocket string // hubs only

	// Routes and LinkRoutes are where the other replicas connect, to the local
	// and the link server. They are used with more than one replica only.
	Routes, LinkRoutes string
}

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = DefaultSyncInterval
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = DefaultStartTimeout
	}
	if c.PingInterval == 0 {
		c.PingInterval = DefaultPingInterval
	}
	if c.OnLink == nil {
		c.OnLink = func(LinkState) {}
	}
}

// validate returns everything that is wrong with c, joined.
func (c *Config) validate() error {
	var errs []error
	if c.View == nil || c.View.Me == nil {
		errs = append(errs, errors.New("config has no view of the topology"))
	}
	if c.View != nil && c.View.Me != nil {
		errs = append(errs, c.Replica.check(c.View.Me))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("config has no data directory"))
	}
	return errors.Join(errs...)
}

// An address is where one listener listens. Port -1 is chosen by the system,
// 0 is no listener: nats-server's way to say it.
type address struct {
	host string
	port int
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(max(a.port, 0))) }

// reach returns a host:port at which this machine reaches the address.
func (a address) reach() string {
	switch a.host {
	case "", "0.0.0.0":
		return address{"127.0.0.1", a.port}.String()
	case "::":
		return address{"::1", a.port}.String()
	}
	return a.String()
}

// addresses is a Listen, parsed. Once a server runs, the ports are the real
// ones.
type addresses struct {
	clients, gateway, leafnode, websocket address
	routes, linkRoutes                    address
}

func parseListen(l Listen, hub, replicated bool) (addresses, error) {
	var a addresses
	var errs []error
	parse := func(name, s string, to *address) {
		var err error
		if *to, err = parseAddress(s); err != nil {
			errs = append(errs, fmt.Errorf("listen.%s: %w", name, err))
		}
	}
	parse("clients", l.Clients, &a.clients)
	if replicated {
		parse("routes", l.Routes, &a.routes)
	}
	if replicated && hub {
		parse("linkRoutes", l.LinkRoutes, &a.linkRoutes)
	}
	if hub {
		parse("gateway", l.Gateway, &a.gateway)
		// The link server needs a leafnode port in any case: the local server
		// dials it, and a WebSocket leaf does not come up without one.
		parse("leafnode", l.Leafnode, &a.leafnode)
		if l.WebSocket != "" {
			parse("websocket", l.WebSocket, &a.websocket)
		}
	}
	return a, errors.Join(errs...)
}

func parseAddress(s string) (address, error) {
	if s == "" {
		return address{"127.0.0.1", -1}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return address{}, fmt.Errorf("parse %q as host:port: %w", s, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("parse port of %q: %w", s, err)
	}
	if n == 0 {
		return address{host, -1}, nil
	}
	return address{host, int(n)}, nil
}
