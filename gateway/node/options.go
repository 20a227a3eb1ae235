package node

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ringway/ringway/topology"
)

const (
	// maxPayload is the biggest message. Keptn's ingress takes bodies of 5 MB,
	// and an event grows on its way by its headers; 8 MiB is the most that
	// nats-server runs without a warning.
	maxPayload = 8 << 20

	// A link that is dead without a word is closed after at most
	// maxPingsOut+1 ping intervals, or one more by the listener of leaves:
	// 14 s of 15. Gateways and leaf remotes ping whatever the traffic;
	// listeners ping when they hear nothing.
	maxPingsOut = 2

	// writeDeadline is how long the peer of a connection may take nothing.
	writeDeadline = 10 * time.Second

	// leafRetry is the pause between two attempts of a leaf remote; the server
	// adds up to as much again by chance.
	leafRetry = 200 * time.Millisecond

	// tlsTimeout bounds a handshake, in seconds. The server's 2 s are short on
	// a machine where a whole federation starts at once.
	tlsTimeout = 5

	// gatewayDelay is how long a link server waits before it dials the other
	// hubs. The server's own is 1 s, for clusters to form; ours form none. A
	// hub that is dialled before it listens is tried again after 1 s only, so
	// it is worth to give it a moment.
	gatewayDelay = 100 * time.Millisecond

	// quiet is how many attempts at a link lie between two lines of the
	// server's log. Links log their own ups and downs.
	quiet = 600
)

// A plan is everything that the options of the servers are made of. Options
// are a pure translation of a plan; they are made anew for each start, since a
// server changes those it is given.
type plan struct {
	cfg   *Config
	view  *topology.View
	creds *credentials
	tls   *linkTLS
	at    addresses

	// The proxy's credentials, read from the file that the topology names.
	proxyUser, proxyPassword string
	found                    []string // addresses that the name of the replicas resolved to
	dials                    int      // how often the remote of the hubs was replaced: its proxy changed, or the server had given up
}

func (p *plan) hub() bool { return p.view.Me.Link.Kind == topology.LinkHub }

// common returns what the options of both servers share.
func (p *plan) common(name string, accounts []Account) (*server.Options, error) {
	resolver, err := p.creds.resolver(accounts...)
	if err != nil {
		return nil, err
	}
	op := *p.creds.operator
	o := &server.Options{
		ServerName: name,
		NoSigs:     true, // signals are the process's
		NoLog:      true, // SetLoggerV2 says where to

		SystemAccount:   p.creds.key(SYS),
		AccountResolver: resolver,

		MaxPayload:    maxPayload,
		PingInterval:  p.cfg.PingInterval,
		MaxPingsOut:   maxPingsOut,
		WriteDeadline: writeDeadline,

		// Only memory: closed connections are remembered for /connz, which we
		// do not show.
		MaxClosedClients: 64,

		ConnectErrorReports:   quiet,
		ReconnectErrorReports: quiet,
	}
	o.TrustedOperators = append(o.TrustedOperators, &op)
	o.LeafNode.ReconnectInterval = leafRetry
	return o, nil
}
