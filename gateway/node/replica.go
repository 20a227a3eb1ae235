package node

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ringway/ringway/topology"
)

// The ports of routes that are not said otherwise.
const (
	DefaultRoutePort     = 6222
	DefaultLinkRoutePort = 6223
)

// A Replica says which of the replicas of its stamp a Node is, and where the
// others are. Nothing of it is used if the topology says one replica.
type Replica struct {
	// Name is unique among the replicas of the stamp and the same after a
	// restart: streams know their peers by it.
	Name string

	// Peers are the routes of the local servers, as host:port or host; the
	// replica itself may be among them. LinkPeers are those of the link servers
	// of a hub; empty are the hosts of Peers at the port of Listen.LinkRoutes.
	Peers, LinkPeers []string

	// PeersDNS is a name that resolves to the addresses of all replicas, and is
	// resolved again before each attempt, instead of Peers and LinkPeers.
	PeersDNS string
}

// A ReplicaState says how a Node sees the replicas of its stamp.
type ReplicaState struct {
	Name    string   // of this one
	Server  string   // the name of its local server
	Want    int      // as the topology says
	Reached int      // with this one
	Peers   []string // names of the servers that were reached, without this one
	Quorum  bool     // the stamp's streams can be written and created
}

var replicaName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// check returns what is wrong with r for a stamp with several replicas.
func (r Replica) check(s *topology.Stamp) error {
	if s.Replicas <= 1 {
		return nil
	}
	var errs []error
	if !replicaName.MatchString(r.Name) || r.Name == linkSuffix {
		errs = append(errs, fmt.Errorf("replica.name: %q is not a name: stamp %s has %d replicas, and each needs one of its own, "+
			"of lower-case letters, digits and dashes", r.Name, s.ID, s.Replicas))
	}
	if len(r.Peers) == 0 && r.PeersDNS == "" {
		errs = append(errs, fmt.Errorf("replica.peers: are missing: stamp %s has %d replicas", s.ID, s.Replicas))
	}
	if len(r.Peers) > 0 && r.PeersDNS != "" {
		errs = append(errs, errors.New("replica.peersDNS: is given beside replica.peers"))
	}
	return errors.Join(errs...)
}

// replicated reports whether the servers of the stamp are clusters.
func (p *plan) replicated() bool { return p.view.Me.Replicas > 1 }

// localName is the name of the local server: that of the stamp, and of the
// replica if there are several.
func (p *plan) localName() string {
	if p.replicated() {
		return string(p.view.Me.ID) + "." + p.cfg.Replica.Name
	}
	return string(p.view.Me.ID)
}

// linkServerName is the name of the link server.
func (p *plan) linkServerName() string { return p.localName() + "." + linkSuffix }

// linkName is the name of a stamp's gateway, and of the cluster that its link
// servers are. A leafnode refuses a cluster of its own name, so it differs from
// that of the local servers; no stamp has a dot in its name.
func linkName(s topology.StampID) string { return string(s) + "." + linkSuffix }

const linkSuffix = "link"

// stampOf returns the stamp that a server of this project is of.
func stampOf(serverName string) topology.StampID {
	stamp, _, _ := strings.Cut(serverName, ".")
	return topology.StampID(stamp)
}

// cluster makes a server one of its stamp's replicas: it listens for routes at
// at and dials peers.
func (p *plan) cluster(o *server.Options, name string, at address, peers []string, port int) error {
	o.Cluster.Name = name
	if !p.replicated() {
		return nil
	}
	o.Cluster.Host, o.Cluster.Port = at.host, at.port
	o.Cluster.TLSConfig = p.tls.peer
	o.Cluster.TLSTimeout = tlsTimeout
	// One route to each peer: what one account is told before another, such as
	// a delivery and the news of it, keeps its order.
	o.Cluster.PoolSize = -1
	o.Cluster.Compression.Mode = server.CompressionOff
	o.Cluster.PingInterval = p.cfg.PingInterval
	o.Cluster.MaxPingsOut = maxPingsOut
	if p.cfg.Replica.PeersDNS != "" {
		peers = []string{p.cfg.Replica.PeersDNS}
	}
	for _, peer := range peers {
		u, err := routeURL(peer, port)
		if err != nil {
			return err
		}
		o.Routes = append(o.Routes, u)
	}
	// The number of routes is what the server takes for the size of the cluster
	// when it starts for the first time: fewer could make two of five.
	for i := 0; len(o.Routes) < p.view.Me.Replicas; i++ {
		u := *o.Routes[i]
		u.User = url.User(strconv.Itoa(i)) // another text for the same place
		o.Routes = append(o.Routes, &u)
	}
	for _, peer := range p.found {
		u, err := routeURL(peer, port)
		if err != nil {
			return err
		}
		o.Routes = append(o.Routes, u)
	}
	return nil
}

func routeURL(peer string, port int) (*url.URL, error) {
	if _, _, err := net.SplitHostPort(peer); err != nil {
		peer = net.JoinHostPort(strings.Trim(peer, "[]"), strconv.Itoa(port))
	}
	if host, _, err := net.SplitHostPort(peer); err != nil || host == "" {
		return nil, fmt.Errorf("replica.peers: %q is not host:port", peer)
	}
	return &url.URL{Scheme: "nats-route", Host: peer}, nil
}

// routes makes the local server one of the replicas.
func (p *plan) routes(o *server.Options) error {
	if !p.replicated() {
		return nil
	}
	return p.cluster(o, string(p.view.Me.ID), p.at.routes, p.cfg.Replica.Peers, portOr(p.at.routes, DefaultRoutePort))
}

// linkRoutes makes the link server one of the replicas.
func (p *plan) linkRoutes(o *server.Options) error {
	peers := p.cfg.Replica.LinkPeers
	if len(peers) == 0 {
		for _, peer := range p.cfg.Replica.Peers {
			if host, _, err := net.SplitHostPort(peer); err == nil {
				peer = host
			}
			peers = append(peers, peer)
		}
	}
	return p.cluster(o, linkName(p.view.Me.ID), p.at.linkRoutes, peers, portOr(p.at.linkRoutes, DefaultLinkRoutePort))
}

func portOr(a address, port int) int {
	if a.port > 0 {
		return a.port
	}
	return port
}

// Replicas returns how the Node sees the replicas of its stamp.
func (n *Node) Replicas() ReplicaState {
	n.mu.RLock()
	p, local := n.plan, n.local
	n.mu.RUnlock()
	s := ReplicaState{Name: p.cfg.Replica.Name, Server: p.localName(), Want: max(p.view.Me.Replicas, 1)}
	if local == nil {
		return s
	}
	s.Reached = 1
	if !p.replicated() {
		s.Quorum = true
		return s
	}
	if z, err := local.Routez(nil); err == nil {
		for _, r := range z.Routes {
			if r.RemoteName != "" && !slices.Contains(s.Peers, r.RemoteName) {
				s.Peers = append(s.Peers, r.RemoteName)
			}
		}
	}
	s.Reached += len(s.Peers)
	if z, err := local.Jsz(nil); err == nil && z.Meta != nil {
		s.Quorum = z.Meta.Leader != "" && 2*s.Reached > s.Want
	}
	return s
}

// ReplicaServer returns the name of the local server of a replica of the stamp.
func (n *Node) ReplicaServer(name string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return string(n.plan.view.Me.ID) + "." + name
}

// RouteAddrs returns where the routes of the two servers listen, as host:port;
// empty if there are none.
func (n *Node) RouteAddrs() (local, link string) {
	return n.at("", func(a addresses) address { return a.routes }), n.at("", func(a addresses) address { return a.linkRoutes })
}
