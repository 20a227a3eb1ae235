package topology

// A StampID names one stamp (cluster). It is a NATS token: letters, digits,
// '-' and '_', at most 63 characters.
type StampID string

// A Geo names a region that isolates compute and data.
type Geo string

// A Ring names one step of the roll-out of code.
type Ring string

// A Subject is a concrete NATS subject, without wildcards.
type Subject string

// A Pattern is a NATS subject that may hold the wildcards * and >.
type Pattern string

// A Role says what runs in a stamp.
type Role string

// The roles a stamp may have. A stamp may have both.
const (
	RoleControl   Role = "control"   // a Keptn control plane runs here
	RoleExecution Role = "execution" // Keptn integrations run here
)

// A LinkKind says how a stamp takes part in the federation's network.
type LinkKind string

// The two kinds of link (design: hubs by gateway, the rest by leaf).
const (
	LinkHub  LinkKind = "hub"  // full member of the supercluster, listens
	LinkLeaf LinkKind = "leaf" // dials out to one hub at a time
)

// A Compression is how a leaf and its hub compress what their link carries.
type Compression string

// The compressions.
const (
	CompressionNone Compression = "none"
	CompressionS2   Compression = "s2" // about 1 MB of memory for each leaf, at both ends
)

// A Transport is the wire a leaf dials its hub over.
type Transport string

// The transports of a leaf link.
const (
	TransportTLS Transport = "tls" // NATS leafnode protocol over TLS
	TransportWSS Transport = "wss" // the same inside a WebSocket, for port 443 and proxies
)

// A ClientMode says who is the NATS server of the stamp's own clients.
type ClientMode string

// The client modes.
const (
	ClientsEmbedded ClientMode = "embedded" // Ringway's local server
	ClientsExternal ClientMode = "external" // a NATS that is already there; Ringway attaches by leafnode
)

// A Deliver says how many of a stage's stamps get an event.
type Deliver string

// The delivery modes of a stage.
const (
	DeliverAll   Deliver = "all"   // every stamp of the stage
	DeliverAny   Deliver = "any"   // one stamp, the nearest
	DeliverFirst Deliver = "first" // the first of an ordered list
)

// A RouteMode says whether a custom route stores what it carries.
type RouteMode string

// The modes of a custom route.
const (
	RouteDurable RouteMode = "durable" // stored at both ends, exactly once
	RouteLive    RouteMode = "live"    // core NATS, at most once
)

// An Effect is what a policy does with what it matches.
type Effect string

// The effects of a policy. Deny wins over allow.
const (
	EffectAllow Effect = "allow"
	EffectDeny  Effect = "deny"
)

// An OnDeadline says what happens to a stamp that did not answer in time.
type OnDeadline string

// What a stage does when its deadline passes.
const (
	DeadlineFail   OnDeadline = "fail"   // answer errored in the stamp's name
	DeadlineIgnore OnDeadline = "ignore" // go on without the stamp
)
