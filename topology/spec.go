package topology

import (
	"time"

	"github.com/ringway/ringway/internal/yamlfile"
)

// APIVersion and Kind start every topology file.
const (
	APIVersion = "ringway/v1"
	Kind       = "Topology"
)

// A Spec is a topology file as it is written. It may be wrong; Compile says.
type Spec struct {
	APIVersion    string             `yaml:"apiVersion" json:"apiVersion" jsonschema:"required,enum=ringway/v1"`
	Kind          string             `yaml:"kind" json:"kind" jsonschema:"required,enum=Topology"`
	Name          string             `yaml:"name" json:"name" jsonschema:"required" jsonschema_description:"Name of the federation; a NATS token."`
	Defaults      StampSpec          `yaml:"defaults" json:"defaults,omitempty" jsonschema_description:"What every stamp inherits. A geo's defaults come next, then its ring's, then the stamp itself; labels are merged, the rest is taken key by key."`
	Geos          []GroupSpec        `yaml:"geos" json:"geos" jsonschema:"required" jsonschema_description:"Regions that isolate compute and data."`
	Rings         []GroupSpec        `yaml:"rings" json:"rings" jsonschema:"required" jsonschema_description:"Steps of the roll-out, in order."`
	Stamps        []StampEntry       `yaml:"stamps" json:"stamps" jsonschema:"required" jsonschema_description:"The clusters."`
	ControlPlanes []ControlPlaneSpec `yaml:"controlPlanes" json:"controlPlanes,omitempty" jsonschema_description:"The Keptn control planes and the stamps they run in."`
	Stages        []StageSpec        `yaml:"stages" json:"stages,omitempty" jsonschema_description:"Which stamps get the events of a Keptn stage. Of several entries for a stage the first that takes an event wins."`
	Routes        []RouteSpec        `yaml:"routes" json:"routes,omitempty" jsonschema_description:"Subjects that are not Keptn's and cross all the same."`
	Policies      []PolicySpec       `yaml:"policies" json:"policies,omitempty" jsonschema_description:"What may go where. Deny wins; with any allow policy, only what one of them matches may go."`
	Targets       []TargetSpec       `yaml:"targets" json:"targets,omitempty" jsonschema_description:"HTTP upstreams that a stamp serves to others."`

	file *yamlfile.File
}

// A GroupSpec is a geo or a ring. A bare word is its name.
type GroupSpec struct {
	Name     string    `yaml:"name" json:"name" jsonschema:"required"`
	Defaults StampSpec `yaml:"defaults" json:"defaults,omitempty" jsonschema_description:"What the stamps of this group inherit."`
}

// SetName lets a bare word stand for a group.
func (g *GroupSpec) SetName(name string) { g.Name = name }

// A StampEntry is one stamp.
type StampEntry struct {
	Name     string            `yaml:"name" json:"name" jsonschema:"required" jsonschema_description:"A NATS token, unique in the federation."`
	Geo      string            `yaml:"geo" json:"geo" jsonschema:"required"`
	Ring     string            `yaml:"ring" json:"ring" jsonschema:"required"`
	Labels   map[string]string `yaml:"labels" json:"labels,omitempty" jsonschema_description:"For selectors."`
	Roles    []string          `yaml:"roles" json:"roles,omitempty" jsonschema:"enum=control,enum=execution" jsonschema_description:"What runs here; execution if not given."`
	Replicas int               `yaml:"replicas" json:"replicas,omitempty" jsonschema:"enum=1,enum=3,enum=5" jsonschema_description:"Gateway processes; 1 if not given."`
	Trusted  *bool             `yaml:"trusted" json:"trusted,omitempty" jsonschema_description:"Says that an execution stamp may be a hub: hubs see everything that crosses."`
	Link     LinkSpec          `yaml:"link" json:"link,omitempty"`
	Clients  ClientsSpec       `yaml:"clients" json:"clients,omitempty"`
}

// A StampSpec is what stamps may inherit.
type StampSpec struct {
	Labels   map[string]string `yaml:"labels" json:"labels,omitempty"`
	Roles    []string          `yaml:"roles" json:"roles,omitempty" jsonschema:"enum=control,enum=execution"`
	Replicas int               `yaml:"replicas" json:"replicas,omitempty" jsonschema:"enum=1,enum=3,enum=5"`
	Trusted  *bool             `yaml:"trusted" json:"trusted,omitempty"`
	Link     LinkSpec          `yaml:"link" json:"link,omitempty"`
	Clients  ClientsSpec       `yaml:"clients" json:"clients,omitempty"`
}

// A LinkSpec says how a stamp takes part in the network.
type LinkSpec struct {
	Kind        string        `yaml:"kind" json:"kind,omitempty" jsonschema:"enum=hub,enum=leaf" jsonschema_description:"hub: full member that listens; leaf: dials out only. leaf if not given."`
	Via         []string      `yaml:"via" json:"via,omitempty" jsonschema_description:"leaf: hubs to dial, in order; if not given every hub, those of the same geo first, in an order that spreads the leaves."`
	Transport   string        `yaml:"transport" json:"transport,omitempty" jsonschema:"enum=tls,enum=wss" jsonschema_description:"leaf: tls (port 7422) or wss (port 443). tls if not given."`
	Compression string        `yaml:"compression" json:"compression,omitempty" jsonschema:"enum=none,enum=s2" jsonschema_description:"leaf: s2 compresses what the link carries, for a thin line; it takes about 1 MB of memory for each leaf at both ends. none if not given."`
	Proxy       ProxySpec     `yaml:"proxy" json:"proxy,omitempty" jsonschema_description:"leaf: HTTP CONNECT proxy on the way to the hub."`
	Advertise   AdvertiseSpec `yaml:"advertise" json:"advertise,omitempty" jsonschema_description:"hub: where others reach it, as host:port."`
}

// A ProxySpec is an HTTP CONNECT proxy.
type ProxySpec struct {
	URL             string `yaml:"url" json:"url,omitempty" jsonschema_description:"http://host:port"`
	CredentialsFile string `yaml:"credentialsFile" json:"credentialsFile,omitempty" jsonschema_description:"File that holds user:password."`
}

// An AdvertiseSpec is where others reach a hub.
type AdvertiseSpec struct {
	Gateway   string `yaml:"gateway" json:"gateway,omitempty" jsonschema_description:"For other hubs."`
	Leafnode  string `yaml:"leafnode" json:"leafnode,omitempty" jsonschema_description:"For leaves over tls."`
	WebSocket string `yaml:"websocket" json:"websocket,omitempty" jsonschema_description:"For leaves over wss."`
}

// A ClientsSpec says how a stamp's own clients get their NATS.
type ClientsSpec struct {
	Mode     string   `yaml:"mode" json:"mode,omitempty" jsonschema:"enum=embedded,enum=external" jsonschema_description:"embedded: Ringway is their server; external: Ringway attaches to the one that is there. embedded if not given."`
	URL      string   `yaml:"url" json:"url,omitempty" jsonschema_description:"external: the server as its clients call it, nats://host:port. The gateway is one of them: it asks on $SYS.REQ.ACCOUNT.PING.CONNZ what the others have pending. It follows stream keptn, where there is one, for what was published while it could not hear it."`
	Leafnode string   `yaml:"leafnode" json:"leafnode,omitempty" jsonschema_description:"external: its leafnode listener, nats-leaf://host:port; if not given the host of url and port 7422."`
	Sources  []string `yaml:"sources" json:"sources,omitempty" jsonschema_description:"CIDRs from which clients without credentials may connect; private and loopback ranges if not given."`
}

// A ControlPlaneSpec is a Keptn control plane.
type ControlPlaneSpec struct {
	Name     string   `yaml:"name" json:"name" jsonschema:"required"`
	Stamp    string   `yaml:"stamp" json:"stamp" jsonschema:"required" jsonschema_description:"Where it runs; must have role control."`
	Projects []string `yaml:"projects" json:"projects,omitempty" jsonschema_description:"The projects it owns; every project that no other owns if not given."`
	API      APISpec  `yaml:"api" json:"api,omitempty"`
}

// An APISpec is where Keptn's REST API is.
type APISpec struct {
	URL      string            `yaml:"url" json:"url,omitempty" jsonschema_description:"The public form, as api-gateway-nginx offers it: ends in /api."`
	Services map[string]string `yaml:"services" json:"services,omitempty" jsonschema_description:"The form inside Keptn's cluster, a URL for each of shipyard-controller, resource-service, mongodb-datastore, secret-service, api-service, statistics-service; preferred to url for those that are given."`
	Poll     *bool             `yaml:"poll" json:"poll,omitempty" jsonschema_description:"The control plane can be reached by HTTP only: its stamp polls for open events and posts the answers."`
}

// A StageSpec says which stamps get the events of a stage.
type StageSpec struct {
	Name        string            `yaml:"name" json:"name" jsonschema:"required" jsonschema_description:"The Keptn stage."`
	Rule        string            `yaml:"rule" json:"rule,omitempty" jsonschema_description:"Name of this entry in explanations; the stage's if not given."`
	Ring        string            `yaml:"ring" json:"ring" jsonschema:"required"`
	Geos        []string          `yaml:"geos" json:"geos,omitempty" jsonschema_description:"Only stamps of these geos."`
	Labels      map[string]string `yaml:"labels" json:"labels,omitempty" jsonschema_description:"Only stamps with these labels."`
	Stamps      []string          `yaml:"stamps" json:"stamps,omitempty" jsonschema_description:"Only these stamps."`
	Projects    []string          `yaml:"projects" json:"projects,omitempty" jsonschema_description:"Only events of these projects."`
	When        string            `yaml:"when" json:"when,omitempty" jsonschema_description:"Only events for which this expression is true, such as data.sayhello.location == \"EU\"."`
	Deliver     string            `yaml:"deliver" json:"deliver,omitempty" jsonschema:"enum=all,enum=any,enum=first" jsonschema_description:"all stamps, any one (the nearest), or the first of order. all if not given."`
	Order       []string          `yaml:"order" json:"order,omitempty" jsonschema_description:"first: the stamps, best first."`
	Deadline    time.Duration     `yaml:"deadline" json:"deadline,omitempty" jsonschema:"type=string" jsonschema_description:"How long the other stamps wait for one that does not answer, such as 10m; none if not given."`
	StartWithin time.Duration     `yaml:"startWithin" json:"startWithin,omitempty" jsonschema:"type=string" jsonschema_description:"How long a stamp may look for a plane that takes the event. Then it says that it has none, and the others need not wait for it (all), or the next stamp is asked (any, first). 1m for all, 10s for any and first, if not given."`
	OnDeadline  string            `yaml:"onDeadline" json:"onDeadline,omitempty" jsonschema:"enum=fail,enum=ignore" jsonschema_description:"fail: answer errored in its name; ignore: go on without it. fail if not given."`
}

// A SelectSpec chooses stamps: those that match every part that is given.
type SelectSpec struct {
	Geos   []string          `yaml:"geos" json:"geos,omitempty"`
	Rings  []string          `yaml:"rings" json:"rings,omitempty"`
	Stamps []string          `yaml:"stamps" json:"stamps,omitempty"`
	Labels map[string]string `yaml:"labels" json:"labels,omitempty"`
}

// A RouteSpec moves subjects that are not Keptn's.
type RouteSpec struct {
	Name    string     `yaml:"name" json:"name" jsonschema:"required"`
	Subject string     `yaml:"subject" json:"subject" jsonschema:"required" jsonschema_description:"NATS subject, with wildcards, such as orders.>."`
	From    SelectSpec `yaml:"from" json:"from,omitempty" jsonschema_description:"Stamps whose clients publish; all if not given."`
	To      SelectSpec `yaml:"to" json:"to,omitempty" jsonschema_description:"Stamps that get a copy; all if not given."`
	Mode    string     `yaml:"mode" json:"mode,omitempty" jsonschema:"enum=durable,enum=live" jsonschema_description:"durable: stored at both ends, exactly once; live: at most once, stored nowhere. durable if not given."`
}

// A PolicySpec allows or denies what matches every part that is given.
type PolicySpec struct {
	Name     string     `yaml:"name" json:"name" jsonschema:"required"`
	Effect   string     `yaml:"effect" json:"effect" jsonschema:"required,enum=allow,enum=deny"`
	From     SelectSpec `yaml:"from" json:"from,omitempty"`
	To       SelectSpec `yaml:"to" json:"to,omitempty"`
	Projects []string   `yaml:"projects" json:"projects,omitempty"`
	Types    []string   `yaml:"types" json:"types,omitempty" jsonschema_description:"Event types or subjects, with wildcards."`
}

// A TargetSpec is an HTTP upstream served to other stamps.
type TargetSpec struct {
	Name    string     `yaml:"name" json:"name" jsonschema:"required"`
	Stamp   string     `yaml:"stamp" json:"stamp" jsonschema:"required"`
	URL     string     `yaml:"url" json:"url" jsonschema:"required"`
	Callers SelectSpec `yaml:"callers" json:"callers,omitempty" jsonschema_description:"Stamps that may call it; all if not given."`
	Methods []string   `yaml:"methods" json:"methods,omitempty" jsonschema_description:"HTTP methods that may be used; all if not given. To change the protocol is a GET or a POST."`
	Paths   []string   `yaml:"paths" json:"paths,omitempty" jsonschema_description:"Prefixes of paths that may be called, part by part: /api/v1 stands for itself and what is below it, and * for any one part; all if not given."`
	Deny    []string   `yaml:"deny" json:"deny,omitempty" jsonschema_description:"Prefixes of paths that may not be called, written alike."`

	Upgrade    *bool         `yaml:"upgrade" json:"upgrade,omitempty" jsonschema_description:"Callers may change the protocol (WebSocket, SPDY), as kubectl exec does. What they send then is checked no more, so they may not if not given."`
	KeepHost   *bool         `yaml:"keepHost" json:"keepHost,omitempty" jsonschema_description:"Passes on the Host that the caller named, instead of that of url."`
	MaxRequest int64         `yaml:"maxRequest" json:"maxRequest,omitempty" jsonschema_description:"How long the body of a request may be, in bytes; 5242880 if not given, -1 for no limit."`
	Timeout    time.Duration `yaml:"timeout" json:"timeout,omitempty" jsonschema:"type=string" jsonschema_description:"Until when an answer must have come in full, such as 30s; no limit if not given, for answers that stream."`
}
