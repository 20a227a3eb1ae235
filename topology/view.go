package topology

import (
	"cmp"
	"net/netip"
	"net/url"
	"time"
)

// A Mesh is a whole federation, checked and completed. It is immutable and
// safe for concurrent use; everything reachable from it must not be changed.
type Mesh struct {
	Name          string
	Geos          []Geo
	Rings         []Ring          // in order of the roll-out
	Stamps        []*Stamp        // in order of the file
	ControlPlanes []*ControlPlane // in order of the file
	Stages        []*StageRule    // in order of the file; the first that takes an event wins
	Routes        []*Route
	Policies      []*Policy
	Targets       []*Target

	// Warnings are things in the file that are allowed but doubtful.
	Warnings Problems

	// Hash is a short hex digest of everything above. Two gateways with the
	// same Hash route alike.
	Hash string

	stamps map[StampID]*Stamp
}

// A Stamp is one cluster, with every default filled in.
type Stamp struct {
	ID        StampID
	Geo       Geo
	Ring      Ring
	Labels    map[string]string // never nil
	Control   bool
	Execution bool
	Replicas  int // 1, 3 or 5
	Trusted   bool
	Link      Link
	Clients   Clients
}

// A Link is how a stamp takes part in the network.
type Link struct {
	Kind      LinkKind
	Via       []StampID // leaf: hubs in order of preference
	Transport Transport // leaf
	// Compression of what the link carries, both ways; leaf.
	Compression Compression
	Proxy       *Proxy    // leaf; nil is a direct connection
	Advertise   Advertise // hub
}

// An Advertise holds the host:port addresses at which others reach a hub.
// Empty means "not offered".
type Advertise struct {
	Gateway   string `yaml:"gateway"`
	Leafnode  string `yaml:"leafnode"`
	WebSocket string `yaml:"websocket"`
}

// For returns the address at which a leaf dials over t.
func (a Advertise) For(t Transport) string {
	if t == TransportWSS {
		return a.WebSocket
	}
	return a.Leafnode
}

// A Proxy is an HTTP CONNECT proxy. CredentialsFile, if any, holds
// "user:password" and is read by the gateway, never by this package.
type Proxy struct {
	URL             *url.URL
	CredentialsFile string
}

// Clients says how a stamp's own clients get their NATS.
type Clients struct {
	Mode     ClientMode
	URL      string         // external: the NATS that is there, as its clients call it
	Leafnode string         // external: nats-leaf://host:port of its leafnode listener
	Sources  []netip.Prefix // from where clients without credentials may connect; never empty
}

// A ControlPlane is a Keptn control plane and the stamp it runs in.
type ControlPlane struct {
	Name     string
	Stamp    StampID
	Projects []string // empty: every project that no other control plane owns
	API      *url.URL // Keptn's API in its public form; nil if there is none
	// Services are the URLs of Keptn's services in their own form, by name.
	Services map[string]*url.URL `json:",omitempty"`
	Poll     bool                `json:",omitempty"` // it is reached by HTTP only
}

// HasAPI reports whether calls to the control plane lead anywhere.
func (c *ControlPlane) HasAPI() bool { return c.API != nil || len(c.Services) > 0 }

// A StageRule says which stamps get the events of a Keptn stage.
type StageRule struct {
	Name     string // unique, for people: "hardening", or "hardening#2" for a second rule of a stage
	Stage    string
	Projects []string  // empty: every project
	Stamps   []StampID // the candidates, resolved from ring, geos and labels, in order of the file; for DeliverFirst in the order asked for
	When     *Expr     // nil: every event
	Deliver  Deliver
	// StartWithin is how long a stamp may look for a plane before it says that
	// it has none.
	StartWithin time.Duration
	Deadline    time.Duration // 0: none
	OnDeadline  OnDeadline
	Line        int `json:"-"` // in the topology file, for explanations
}

// A Route moves subjects that are not Keptn's.
type Route struct {
	Name    string
	Subject Pattern
	From    []StampID // resolved, in order of the file
	To      []StampID // resolved
	Mode    RouteMode
	Line    int `json:"-"` // in the topology file
}

// A Policy allows or denies what matches all of its non-empty parts.
type Policy struct {
	Name     string
	Effect   Effect
	From, To map[StampID]bool // resolved; nil matches every stamp
	Projects []string         // empty: all
	Types    []Pattern        // of event types or custom subjects; empty: all
	Line     int              `json:"-"` // in the topology file
}

// A Target is an HTTP upstream that a stamp serves to others.
type Target struct {
	Name    string
	Stamp   StampID
	URL     *url.URL
	Callers map[StampID]bool // resolved; nil: every stamp
	Methods []string         // empty: all
	Paths   []string         // allowed prefixes of the path; empty: all
	Deny    []string         // denied prefixes

	Upgrade    bool          `json:",omitempty"` // callers may change the protocol
	KeepHost   bool          `json:",omitempty"` // the Host that the caller names is passed on
	MaxRequest int64         `json:",omitempty"` // of a body, in bytes; 0: 5 MiB, -1: no limit
	Timeout    time.Duration `json:",omitempty"` // until the answer has come in full; 0: none
}

// Target returns the target of stamp id that is called name, or nil. Those that
// control planes imply are not among them.
func (m *Mesh) Target(id StampID, name string) *Target {
	for _, t := range m.Targets {
		if t.Stamp == id && t.Name == name {
			return t
		}
	}
	return nil
}

// A View is what one stamp needs of a Mesh to run.
type View struct {
	*Mesh
	Me *Stamp
}

// Stamp returns the stamp called id, or nil.
func (m *Mesh) Stamp(id StampID) *Stamp { return m.stamps[id] }

// View returns the View of stamp id; false if there is no such stamp.
func (m *Mesh) View(id StampID) (*View, bool) {
	s := m.stamps[id]
	if s == nil {
		return nil, false
	}
	return &View{Mesh: m, Me: s}, true
}

// ControlOf returns the control plane that owns project: the one that names
// it, else the one that names none, else nil. An empty project has the owner
// of every project that nobody names.
func (m *Mesh) ControlOf(project string) *ControlPlane {
	var rest *ControlPlane
	for _, c := range m.ControlPlanes {
		if len(c.Projects) == 0 && rest == nil {
			rest = c
		}
		for _, p := range c.Projects {
			if p == project {
				return c
			}
		}
	}
	return rest
}

// Reaching returns a Mesh like m in which the hubs of at are reached at the
// addresses given there; an empty address stays as it is. The Hash stays, too:
// both meshes route alike.
func (m *Mesh) Reaching(at map[StampID]Advertise) *Mesh {
	if len(at) == 0 {
		return m
	}
	out := *m
	out.Stamps = make([]*Stamp, len(m.Stamps))
	out.stamps = make(map[StampID]*Stamp, len(m.Stamps))
	for i, s := range m.Stamps {
		moved := *s
		to := &moved.Link.Advertise
		if a, ok := at[s.ID]; ok {
			to.Gateway = cmp.Or(a.Gateway, to.Gateway)
			to.Leafnode = cmp.Or(a.Leafnode, to.Leafnode)
			to.WebSocket = cmp.Or(a.WebSocket, to.WebSocket)
		}
		out.Stamps[i], out.stamps[s.ID] = &moved, &moved
	}
	return &out
}

// Hubs returns the stamps that are full members of the supercluster.
func (m *Mesh) Hubs() []*Stamp {
	var hubs []*Stamp
	for _, s := range m.Stamps {
		if s.Link.Kind == LinkHub {
			hubs = append(hubs, s)
		}
	}
	return hubs
}
