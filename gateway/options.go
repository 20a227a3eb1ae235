package gateway

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge/journal"
	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

// Options is gateway.yaml: what this process is, as opposed to what the
// federation is. Every key has a flag and a RINGWAY_* variable of the same
// name. Secrets are named by file.
type Options struct {
	// Stamp is the name of this process's stamp in the topology.
	Stamp topology.StampID `yaml:"stamp"`
	// Topology is the file that declares the federation. It is watched.
	Topology string `yaml:"topology"`
	// Identity is the folder that `ringway auth issue` made for the stamp. It
	// is watched.
	Identity string `yaml:"identity"`
	// Data is where streams are stored. It belongs to this process alone.
	Data string `yaml:"data"`
	// Listen holds the addresses to listen on.
	Listen Listen `yaml:"listen"`
	// Reach says at which addresses this process reaches a hub, where they are
	// not those that the topology advertises: behind NAT, or over a private
	// line. Only what differs is given.
	Reach map[topology.StampID]topology.Advertise `yaml:"reach"`
	// ExternalCredentials is a credentials file for the NATS that the stamp had
	// before (clients.mode external in the topology), if it asks for one. Its
	// user should be allowed $SYS.REQ.ACCOUNT.PING.CONNZ, and in a stamp with a
	// control plane $JS.API.STREAM.INFO.keptn, $JS.API.CONSUMER.*.keptn.> and
	// $JS.API.CONSUMER.MSG.NEXT.keptn.>.
	ExternalCredentials string `yaml:"externalCredentials"`
	// ControlPlanes says with what the APIs of this stamp's control planes are
	// called, by their names: to poll them (api.poll) and for the calls of
	// clients and planes. What targets says of them comes first.
	ControlPlanes map[string]ControlPlane `yaml:"controlPlanes"`
	// Pull tunes how they are polled.
	Pull Pull `yaml:"pull"`
	// Replica says which of the stamp's replicas this process is. It is needed
	// if the topology says that the stamp has more than one.
	Replica Replica `yaml:"replica"`
	// Log says what is logged and how.
	Log Log `yaml:"log"`
	// Tracing exports traces of the way of events. It is off unless an endpoint
	// is given.
	Tracing Tracing `yaml:"tracing"`
	// Events tunes the way of events.
	Events Events `yaml:"events"`
	// Planes tunes the registration of the stamp's execution planes.
	Planes Planes `yaml:"planes"`
	// Poll tunes what is offered to planes that poll.
	Poll Poll `yaml:"poll"`
	// Rest says who may use the HTTP face, and how it is served.
	Rest Rest `yaml:"rest"`
	// Targets holds, by the name of a target that this stamp serves to others, the
	// files that its upstream asks for: ca, cert, key, serverName,
	// credentialPrefix, and credentials, which names a file for each header. The API
	// of a control plane is target keptn-<controlPlane>, and
	// keptn-<controlPlane>-<service> for a service in its own form.
	Targets map[string]TargetFiles `yaml:"targets"`
	// StopGrace bounds an ordered stop. Clients are asked to leave first.
	StopGrace time.Duration `yaml:"stopGrace"`
}

// Listen holds addresses as host:port. Port 0 is chosen and reported; an empty
// address is the default.
type Listen struct {
	// Clients is where the stamp's clients find NATS.
	Clients string `yaml:"clients"`
	// Gateway is where other hubs connect. Hubs only.
	Gateway string `yaml:"gateway"`
	// Leafnode is where leaf stamps connect over TLS. Hubs only.
	Leafnode string `yaml:"leafnode"`
	// WebSocket is where leaf stamps connect over WebSocket. Hubs only.
	WebSocket string `yaml:"websocket"`
	// Admin is for /livez, /readyz, /status and /metrics.
	Admin string `yaml:"admin"`
	// Monitoring is where Keptn's pods probe NATS; "off" for none.
	Monitoring string `yaml:"monitoring"`
	// REST is where HTTP is served to the clients of the stamp: Keptn's API and
	// targets of other stamps; "off" for none.
	REST string `yaml:"rest"`
	// Routes is where the other replicas of the stamp connect, if it has some.
	Routes string `yaml:"routes"`
	// LinkRoutes is the same for the link servers of a hub.
	LinkRoutes string `yaml:"linkRoutes"`
}

// ControlPlane holds names of files. All but CA are read again when they are
// used.
type ControlPlane struct {
	// TokenFile holds the x-token of the API.
	TokenFile string `yaml:"tokenFile"`
	// CA holds, as PEM, whom to trust instead of whom the system trusts.
	CA string `yaml:"ca"`
	// Cert and Key hold, as PEM, who we are, if the API asks.
	Cert string `yaml:"cert"`
	// Key belongs to Cert.
	Key string `yaml:"key"`
}

// Pull tunes how control planes are polled.
type Pull struct {
	// Types lists the types of open events that are asked for, such as
	// sh.keptn.event.deployment.triggered, besides those that planes are known
	// to subscribe to.
	Types []string `yaml:"types"`
	// Interval is the time between two polls.
	Interval time.Duration `yaml:"interval"`
	// Settle is after what time an answer that was posted is in the control
	// plane's mongodb-datastore at the latest, for those whose reply was lost.
	Settle time.Duration `yaml:"settle"`
}

// Replica tells one process of a stamp from the others, and where those are.
type Replica struct {
	// Name is unique among the replicas and the same after a restart, such as
	// the name of a pod of a StatefulSet. It stands for a copy of the streams.
	Name string `yaml:"name"`
	// Peers lists where the replicas listen for routes, as host:port or host;
	// this one may be in the list. All of them must be reachable when the stamp
	// starts for the first time; later a majority.
	Peers []string `yaml:"peers"`
	// LinkPeers is the same for listen.linkRoutes of a hub. Left out, it is the
	// hosts of peers with the port of listen.linkRoutes.
	LinkPeers []string `yaml:"linkPeers"`
	// PeersDNS is given instead of peers: a name with an address for each
	// replica, such as that of a headless Service (with
	// publishNotReadyAddresses). It is resolved again and again.
	PeersDNS string `yaml:"peersDNS"`
}

// Rest says who may use the HTTP face, and how it is served.
type Rest struct {
	// Cert is a certificate for listen.rest; with it only TLS is served there. It is
	// read again when it changes.
	Cert string `yaml:"cert"`
	// Key is the key of cert.
	Key string `yaml:"key"`
	// Tokens is a folder with a file for each plane that may use /api: the name of
	// the file is that of the plane, its content the token that it shows as x-token.
	// It is read again when it changes. Without one, nobody may.
	Tokens string `yaml:"tokens"`
	// TokenReview is a folder with the token and the ca.crt of a Kubernetes
	// ServiceAccount that may ask for token reviews. With it, tokens of
	// ServiceAccounts let in as those of tokens do, also as a bearer: account name
	// in namespace ns is plane name.ns.
	TokenReview string `yaml:"tokenReview"`
	// TokenReviewURL is the API of the cluster that is asked.
	TokenReviewURL string `yaml:"tokenReviewURL"`
	// Audience is what such a token has to be for.
	Audience string `yaml:"audience"`
	// Accounts lists whose tokens count: namespace/name, or namespace/* for all of a
	// namespace.
	Accounts []string `yaml:"accounts"`
	// Anonymous lets clients from clients.sources of the stamp use /api without a
	// token; which plane they are is what the prefix /p/<plane> says.
	Anonymous bool `yaml:"anonymous"`
	// Tunnel says who may use /t/<stamp>/<target>/: sources, who connects from
	// clients.sources; token, who shows a token of rest.tokens as x-token or bearer;
	// or off.
	Tunnel string `yaml:"tunnel"`
	// Names are further listeners, always without /api and /t: by the name of a
	// service in Keptn's cluster, for clients whose Host cannot tell it, or * for all
	// of them by Host.
	Names map[string]string `yaml:"names"`
	// NamesTLS serves rest.names with cert, too.
	NamesTLS bool `yaml:"namesTLS"`
	// ClusterDomain is how the names of Services end, as in
	// shipyard-controller.keptn.svc.cluster.local.
	ClusterDomain string `yaml:"clusterDomain"`
	// MaxRequest bounds the body of a call to Keptn, in bytes.
	MaxRequest int64 `yaml:"maxRequest"`
	// IdleTimeout is how long a client may take to send the next bytes of a body, or
	// to take those of an answer.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
}

// TargetFiles is what the upstream of a target asks for. Files are read again
// when they change.
type TargetFiles struct {
	// CA is what its certificate is checked against, else the system's.
	CA string `yaml:"ca"`
	// Cert is the client certificate that is shown.
	Cert string `yaml:"cert"`
	// Key is the key of cert.
	Key string `yaml:"key"`
	// ServerName is the name in its certificate; empty: the host of its URL.
	ServerName string `yaml:"serverName"`
	// Credentials names a file with the value of each of these headers, such as
	// x-token. What callers send for such a header is dropped.
	Credentials map[string]string `yaml:"credentials"`
	// CredentialPrefix is put before the value of Authorization, such as "Bearer ".
	CredentialPrefix string `yaml:"credentialPrefix"`
}

// Log says what is logged and how.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
}

// Events tunes the way of events.
type Events struct {
	// Window is how long a delivered event is known, so that a second copy is
	// refused; at least 24h.
	Window time.Duration `yaml:"window"`
	// MaxWait is how long an event may wait for a subscriber before it becomes
	// a dead letter.
	MaxWait time.Duration `yaml:"maxWait"`
	// MaxWaiting is how many events may wait for a subscriber.
	MaxWaiting int `yaml:"maxWaiting"`
	// MaxWaitingBytes is how much may wait for a subscriber, in bytes.
	MaxWaitingBytes int64 `yaml:"maxWaitingBytes"`
	// DoubtTime is how long an answer is waited for before a task is given again
	// that a plane may have got before its connection, or this process, ended.
	DoubtTime time.Duration `yaml:"doubtTime"`
	// ReofferAfter is after what time a task that no plane has answered is given
	// again; 0 is never, for a plane that is only slow would do it twice.
	ReofferAfter time.Duration `yaml:"reofferAfter"`
	// ReofferTimes is how often that is done.
	ReofferTimes int `yaml:"reofferTimes"`
	// TellAfter is after what time Keptn is told that a task waits for a stamp that
	// cannot be reached or is frozen, so that it does not give the sequence up: at
	// most half of its TASK_STARTED_WAIT_DURATION, which is 10 min. 0 is never.
	TellAfter time.Duration `yaml:"tellAfter"`
	// AckTimeout is how long a target may take to store an event before it
	// counts as away.
	AckTimeout time.Duration `yaml:"ackTimeout"`
	// SyncInterval is how often streams are forced to the disk. Less than that
	// can be lost when the machine loses power; nothing is lost when the
	// process dies.
	SyncInterval time.Duration `yaml:"syncInterval"`
	// Journal is how many steps of events the gateway remembers, for 'ringway
	// events why' and tail: about 250 bytes each. 0 is none.
	Journal int `yaml:"journal"`
	// CanaryInterval is how often every stamp that this one exchanges events
	// with is asked whether they get through.
	CanaryInterval time.Duration `yaml:"canaryInterval"`
}

// Planes tunes the registration of the stamp's execution planes.
type Planes struct {
	// Namespace is what control planes are told for the namespace of a plane:
	// {{stamp}}, {{namespace}} and {{plane}} stand for the stamp, the namespace
	// that the plane gives, and its caller. It tells planes of the same name in
	// several stamps apart.
	Namespace string `yaml:"namespace"`
	// Refresh is how often a control plane is told that a plane lives: at most
	// half of its UNIFORM_INTEGRATION_TTL.
	Refresh time.Duration `yaml:"refresh"`
	// Lease is for how long a plane that says nothing counts as alive.
	Lease time.Duration `yaml:"lease"`
	// Grace is after what time a plane that does not register itself is
	// deregistered when it is gone.
	Grace time.Duration `yaml:"grace"`
	// Behalf is for how long a plane that does not register is seen before it is
	// registered on its behalf.
	Behalf time.Duration `yaml:"behalf"`
	// Announce is how often other stamps are told of the planes, besides when
	// something changes.
	Announce time.Duration `yaml:"announce"`
}

// Poll tunes what is offered to planes that poll.
type Poll struct {
	// TTL is how long a task that nobody finishes is offered.
	TTL time.Duration `yaml:"ttl"`
	// NewsTTL is how long an event that gives nothing to do is offered, such as a
	// .finished or one of service.*.
	NewsTTL time.Duration `yaml:"newsTTL"`
	// Window is how long a post is remembered that says which event it is, by an id
	// or by what it answers, so that a retry is the same event.
	Window time.Duration `yaml:"window"`
	// Retry is how long any other post is remembered: two of the same text in that
	// time are one event.
	Retry time.Duration `yaml:"retry"`
}

// DefaultOptions returns the options of a process that was told nothing but
// its stamp.
func DefaultOptions() Options {
	return Options{
		Topology: "topology.yaml",
		Identity: "identity",
		Data:     "data",
		Listen: Listen{
			Clients: ":4222", Gateway: ":7222", Leafnode: ":7422", WebSocket: ":8443",
			Admin: "127.0.0.1:9222", Monitoring: ":8222", REST: ":8080",
			Routes: ":6222", LinkRoutes: ":6223",
		},
		Log:  Log{Level: "info", Format: "text"},
		Rest: Rest{Tunnel: face.TunnelSources, TokenReviewURL: "https://kubernetes.default.svc", Audience: "ringway", ClusterDomain: "cluster.local", MaxRequest: face.DefaultMaxRequest, IdleTimeout: face.DefaultIdle}, //nolint:gosec // names, and no secret
		Events: Events{
			Window: 24 * time.Hour, MaxWait: 72 * time.Hour, MaxWaiting: 500_000, MaxWaitingBytes: 1 << 30,
			DoubtTime: 3 * time.Second, ReofferTimes: 1, TellAfter: 5 * time.Minute,
			AckTimeout: 2 * time.Second, SyncInterval: 2 * time.Second, CanaryInterval: 5 * time.Second,
			Journal: journal.DefaultSize,
		},
		Tracing: Tracing{Ratio: 1},
		Planes:  defaultPlanes(),
		Poll:    defaultPoll(),
		Pull: Pull{
			Types: []string{
				"sh.keptn.event.deployment.triggered", "sh.keptn.event.test.triggered", "sh.keptn.event.release.triggered",
				"sh.keptn.event.rollback.triggered", "sh.keptn.event.action.triggered",
			},
			Interval: 2 * time.Second, Settle: 5 * time.Second,
		},
		StopGrace: 20 * time.Second,
	}
}

// Validate returns every problem of o, joined, or nil.
func (o Options) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	if o.Stamp == "" {
		bad("stamp", "is missing: name the stamp this process belongs to")
	}
	for key, v := range map[string]string{"topology": o.Topology, "identity": o.Identity, "data": o.Data} {
		if v == "" {
			bad(key, "is missing")
		}
	}
	for key, v := range map[string]string{
		"listen.clients": o.Listen.Clients, "listen.gateway": o.Listen.Gateway, "listen.leafnode": o.Listen.Leafnode,
		"listen.websocket": o.Listen.WebSocket, "listen.admin": o.Listen.Admin, "listen.monitoring": o.Listen.Monitoring,
		"listen.rest": o.Listen.REST, "listen.routes": o.Listen.Routes, "listen.linkRoutes": o.Listen.LinkRoutes,
	} {
		if v == "off" && (key == "listen.monitoring" || key == "listen.rest") || v == "" && key == "listen.rest" || v == "" && strings.HasSuffix(strings.ToLower(key), "routes") {
			continue
		}
		if _, _, err := net.SplitHostPort(v); err != nil {
			bad(key, "%q is not host:port", v)
		}
	}
	if o.Events.Window < 24*time.Hour {
		bad("events.window", "%s is shorter than 24h: Keptn would count a repeated answer twice", o.Events.Window)
	}
	if o.Events.MaxWait <= 0 || o.Events.AckTimeout <= 0 || o.Events.SyncInterval <= 0 || o.Events.CanaryInterval <= 0 || o.StopGrace <= 0 {
		bad("events", "durations must be positive")
	}
	if o.Events.MaxWaiting < 1 || o.Events.MaxWaitingBytes < 1 {
		bad("events.maxWaiting", "%d events of %d bytes is not positive", o.Events.MaxWaiting, o.Events.MaxWaitingBytes)
	}
	if o.Events.Journal < 0 || o.Events.Journal > maxJournal {
		bad("events.journal", "%d is not between 0 and %d", o.Events.Journal, maxJournal)
	}
	if o.Events.TellAfter < 0 {
		bad("events.tellAfter", "%s is negative", o.Events.TellAfter)
	}
	if o.Events.DoubtTime <= 0 || o.Events.ReofferAfter < 0 || o.Events.ReofferTimes < 0 {
		bad("events.doubtTime", "%s, and reofferAfter %s, reofferTimes %d, are out of range", o.Events.DoubtTime, o.Events.ReofferAfter, o.Events.ReofferTimes)
	}
	o.Tracing.check(bad)
	o.Planes.check(bad)
	o.Poll.validate(bad)
	o.validateREST(bad)
	if o.Pull.Interval <= 0 || o.Pull.Settle <= 0 {
		bad("pull", "interval %s and settle %s must be positive", o.Pull.Interval, o.Pull.Settle)
	}
	switch o.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		bad("log.level", "%q is not debug, info, warn or error", o.Log.Level)
	}
	if o.Log.Format != "text" && o.Log.Format != "json" {
		bad("log.format", "%q is not text or json", o.Log.Format)
	}
	return errors.Join(errs...)
}
