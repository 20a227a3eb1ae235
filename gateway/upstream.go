package gateway

import (
	"net/http"
	"strings"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/topology"
)

var _ call.Upstream = (*Gateway)(nil).upstream

// upstream is the direct way to Keptn's public API.
func (g *Gateway) upstream(cp *topology.ControlPlane, service string) http.RoundTripper {
	if cp.API == nil || service != call.Shipyard {
		return nil
	}
	return direct{cp}
}

var directly = &http.Transport{DisableKeepAlives: true}

type direct struct{ cp *topology.ControlPlane }

// RoundTrip makes a request of the public form.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = d.cp.API.Scheme, d.cp.API.Host, ""
	out.URL.Path = strings.TrimSuffix(d.cp.API.Path, "/") + "/controlPlane" + req.URL.Path
	return directly.RoundTrip(out) //nolint:wrapcheck // as it is
}
