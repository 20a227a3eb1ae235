package call

import (
	"net/http"

	"github.com/ringway/ringway/topology"
)

// Names of Keptn's services in its cluster (contract §6.2).
const (
	Shipyard   = "shipyard-controller"
	Resource   = "resource-service"
	Datastore  = "mongodb-datastore"
	Secret     = "secret-service"
	API        = "api-service"
	Statistics = "statistics-service"
)

// A Call is an HTTP request that is meant for a Keptn control plane, once it is
// known who asks and which of Keptn's services is meant.
type Call struct {
	// Plane is who asks, by the prefix /p/<plane>, the token or the listener;
	// empty if none of them says. What the request itself says about that is not
	// believed (contract §7).
	Plane string
	// Service is one of Keptn's services.
	Service string
	// Target is the request target as that service sees it, such as
	// /v1/uniform/registration?name=x, byte for byte.
	Target string
	// Public says that the call came by /api, where the rules of
	// api-gateway-nginx hold (contract §4.1).
	Public bool
}

// A Handler answers some calls itself.
type Handler interface {
	// ServeCall answers c, or returns false without having touched w or the body
	// of r.
	ServeCall(w http.ResponseWriter, r *http.Request, c Call) (took bool)
}

// An Upstream returns the way to a service of a control plane. A request through
// it has the path that the service itself knows; where it is, and what it is to be
// shown, is added on the way. It is nil if the topology names no API for cp.
type Upstream func(cp *topology.ControlPlane, service string) http.RoundTripper
