package keptn

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Releases of Keptn that behave differently.
const (
	Release019 = "0.19.3"
	Release14  = "1.4.5"
)

// A Distributor is the sidecar that brings events to a service over HTTP. Its
// fields are the variables of its environment.
type Distributor struct {
	Clock
	Release string // "" is the newest
	Hosts   Hosts

	APIEndpoint, APIToken                     string // KEPTN_API_*; an endpoint switches NATS off
	PubSubURL, PubSubTopic, PubSubGroup       string
	Recipient                                 string // PUBSUB_RECIPIENT, port and path, as a URL
	ProjectFilter, StageFilter, ServiceFilter string // comma lists
	DisableRegistration                       bool
	Name, Namespace                           string // K8S_DEPLOYMENT_NAME, K8S_NAMESPACE
	Node, Pod, Version                        string // K8S_NODE_NAME, K8S_POD_NAME, VERSION
	DistributorVersion, Location              string
	HeartbeatInterval, PollingInterval        time.Duration // 0 is 10 s
	MaxPayload                                int64         // API_PROXY_MAX_PAYLOAD_BYTES_KB, in bytes; 0 is 64 KB

	// Gap is called between the end of the old subscriptions and the beginning
	// of new ones. nil does nothing.
	Gap func()

	api      *client
	listener net.Listener // of the forwarder; nil makes one

	mu            sync.Mutex // guards the following fields
	id            string
	subscriptions []Subscription
	given         map[string]time.Time // events given to the service, and until when that is known; zero is for ever
	publishers    map[string]*nats.Conn
	logs          []LogEntry
	nats          natsReceiver

	delivery sync.Mutex // one event at a time
}

// notRegistered lists whose distributor does not register.
var notRegistered = []string{"statistics-service", "api-service", datastoreName, "resource-service", "secret-service", shipyardName}

// registers reports whether the distributor registers.
func (d *Distributor) registers() bool {
	return !d.DisableRegistration && d.Name != "" && d.Namespace != "" && !slices.Contains(notRegistered, d.Name)
}

// remote reports whether it speaks HTTP alone.
func (d *Distributor) remote() bool { return d.APIEndpoint != "" }

// list splits a comma list; an empty one has no elements and is not null.
func list(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}

// filter is what the environment says.
func (d *Distributor) filter() Filter {
	return Filter{list(d.ProjectFilter), list(d.StageFilter), list(d.ServiceFilter)}
}

// registration is what the distributor registers as.
func (d *Distributor) registration() Integration {
	location := "control-plane"
	if d.remote() {
		location = "remote-execution-plane"
	}
	out := Integration{Name: d.Name, Subscriptions: []Subscription{}, Metadata: Metadata{
		Hostname: cmp.Or(d.Node, "keptn-node"), IntegrationVersion: d.Version, DistributorVersion: cmp.Or(d.DistributorVersion, "0.9.0"),
		Location:   cmp.Or(d.Location, location),
		Kubernetes: Kubernetes{Namespace: d.Namespace, Pod: d.Pod, Deployment: d.Name},
	}}
	for _, topic := range list(d.PubSubTopic) {
		out.Subscriptions = append(out.Subscriptions, Subscription{Event: topic, Filter: d.filter()})
	}
	return out
}

const distributorName = "distributor"

// Run runs the distributor until ctx ends or it has missed ten pings in a row.
func (d *Distributor) Run(ctx context.Context, ready func()) error {
	d.api = newClient(d.APIEndpoint, d.APIToken, d.Hosts)
	defer d.api.close()
	d.given, d.publishers = map[string]time.Time{}, map[string]*nats.Conn{}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	stop, err := d.serve(ctx, &wg)
	if err != nil {
		return &Exit{distributorName, 1, "no listener", err}
	}
	defer stop()
	dead := make(chan *Exit, 1)
	if d.registers() {
		if exit := d.register(ctx); exit != nil || ctx.Err() != nil {
			return orNil(exit)
		}
		wg.Go(func() {
			if exit := d.heartbeat(ctx); exit != nil {
				dead <- exit
			}
		})
		wg.Go(func() { d.report(ctx) })
	}
	if d.remote() {
		wg.Go(func() { d.poll(ctx, &wg) })
	} else {
		closeNATS, exit := d.receive()
		if exit != nil {
			return exit
		}
		defer closeNATS()
	}
	ready()
	select {
	case <-ctx.Done():
		return nil
	case exit := <-dead:
		return exit
	}
}

// orNil keeps a nil *Exit from becoming an error.
func orNil(e *Exit) error {
	if e == nil {
		return nil
	}
	return e
}

// register tries ten times, five seconds apart.
func (d *Distributor) register(ctx context.Context) *Exit {
	var err error
	for range 10 {
		var id string
		if id, err = d.api.register(ctx, d.registration()); err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.id = id
			return nil
		}
		if !d.pause(ctx, 5*time.Second) {
			return nil
		}
	}
	return &Exit{distributorName, 1, "not registered", err}
}

// heartbeat pings, and takes over the subscriptions that a ping is answered
// with. The first ping is an interval after the registration; until then there
// are none, and what comes is lost.
func (d *Distributor) heartbeat(ctx context.Context) *Exit {
	missed := 0
	for d.pause(ctx, cmp.Or(d.HeartbeatInterval, 10*time.Second)) {
		d.mu.Lock()
		id := d.id
		d.mu.Unlock()
		subscriptions, err := d.api.ping(ctx, id)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop
		case err == nil:
			missed = 0
			d.mu.Lock()
			d.subscriptions = subscriptions
			d.mu.Unlock()
			d.resubscribe(subscriptions)
		default:
			if missed++; missed == 10 {
				return &Exit{distributorName, 1, "ten pings missed", err}
			}
		}
	}
	return nil
}

// current returns the subscriptions of the last ping.
func (d *Distributor) current() []Subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.subscriptions)
}

// report sends logs once a minute.
func (d *Distributor) report(ctx context.Context) {
	for d.pause(ctx, time.Minute) {
		d.mu.Lock()
		logs := d.logs
		d.logs = nil
		d.mu.Unlock()
		if len(logs) > 0 {
			_ = d.api.log(ctx, logs) // logged at most
		}
	}
}
