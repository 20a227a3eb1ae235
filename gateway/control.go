package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

// safe are the methods that may be given to a second replica. A PUT is not among
// them: resource-service commits for each.
var safe = []string{http.MethodGet, http.MethodHead, http.MethodOptions}

// askControl has a call answered by the control plane that it is for.
func (g *Gateway) askControl(w http.ResponseWriter, r *http.Request, c call.Call) {
	cp := controlOf(g.force.Load().view, projectOf(c.Target))
	if g.tunnel.Load() == nil {
		face.Answer(w, http.StatusServiceUnavailable, tunnel.ReasonStopping, "gateway of "+string(g.opts.Stamp)+": it has not begun")
		return
	}
	route, ok := g.routeTo(cp, c.Service, c.Public)
	if !ok {
		face.Answer(w, http.StatusNotFound, tunnel.ReasonNoTarget, fmt.Sprintf("gateway of %s: %s", g.opts.Stamp, noAPI(cp, c.Service)))
		return
	}
	if path, _, _ := strings.Cut(c.Target, "?"); strings.HasSuffix(path, "/ping") {
		route.Repeat = append(slices.Clone(safe), http.MethodPut)
	}
	public := route.Rewrite
	route.Rewrite = func(string) string {
		if public == nil {
			return c.Target
		}
		return public(c.Target)
	}
	g.tunnelTo(route.To).Handler(route).ServeHTTP(w, r)
}

func noAPI(cp *topology.ControlPlane, service string) string {
	if cp == nil {
		return "the topology has no control plane for this call"
	}
	return fmt.Sprintf("the topology names no API of %s for control plane %s", service, cp.Name)
}

// upstream is a call.Upstream.
func (g *Gateway) upstream(cp *topology.ControlPlane, service string) http.RoundTripper {
	route, ok := g.routeTo(cp, service, false)
	if g.tunnel.Load() == nil || !ok {
		return nil
	}
	return g.tunnelTo(route.To).RoundTripper(route)
}

var _ call.Upstream = (*Gateway)(nil).upstream

// routeTo returns the way to a service of a control plane. The API of one in this
// stamp is reached in the same way as any other's: a replica that has its files
// answers.
func (g *Gateway) routeTo(cp *topology.ControlPlane, service string, public bool) (tunnel.Route, bool) {
	if cp == nil {
		return tunnel.Route{}, false
	}
	route := tunnel.Route{
		To: cp.Stamp, Strip: []string{"X-Token"}, MaxRequest: g.opts.Rest.MaxRequest, Timeout: tunnel.KeptnTimeout, Repeat: safe,
	}
	switch {
	case cp.Services[service] != nil:
		route.Target = cp.ServiceTarget(service)
	case cp.API != nil:
		route.Target = cp.PublicTarget()
		route.Rewrite = func(t string) string { return publicForm(service, t, public) }
	default:
		return route, false
	}
	return route, true
}

// publicPrefix is where api-gateway-nginx has each service, below /api.
var publicPrefix = map[string]string{
	call.Shipyard: "/controlPlane", call.Resource: "/resource-service", call.Datastore: "/mongodb-datastore",
	call.Secret: "/secrets", call.Statistics: "/statistics", call.API: "",
}

// publicForm returns the target by which the public API offers a target of a
// service. That API decodes %2F before the service sees it, so clients of it
// escape the name of a resource twice; those of the service itself do not, and
// unless the target is public already, it is done for them.
func publicForm(service, target string, public bool) string {
	if service == call.Resource && !public {
		path, query, has := strings.Cut(target, "?")
		if head, name, ok := strings.Cut(path, "/resource/"); ok {
			name = strings.NewReplacer("%2F", "%252F", "%2f", "%252f").Replace(name)
			target = head + "/resource/" + name
			if has {
				target += "?" + query
			}
		}
	}
	return publicPrefix[service] + target
}

// controlOf returns the control plane that a call is for: that of its project, or
// if it names none the first that sends events to this stamp.
func controlOf(v *topology.View, project string) *topology.ControlPlane {
	if project != "" {
		return v.ControlOf(project)
	}
	for _, c := range v.ControlPlanes {
		if c.Stamp == v.Me.ID {
			return c
		}
	}
	for _, c := range v.ControlPlanes {
		for _, r := range v.Stages {
			if slices.Contains(r.Stamps, v.Me.ID) && shareProject(c, r) {
				return c
			}
		}
	}
	if len(v.ControlPlanes) == 0 {
		return nil
	}
	return v.ControlPlanes[0]
}

// shareProject reports whether a rule may be about a project of c.
func shareProject(c *topology.ControlPlane, r *topology.StageRule) bool {
	return len(c.Projects) == 0 || len(r.Projects) == 0 ||
		slices.ContainsFunc(r.Projects, func(p string) bool { return slices.Contains(c.Projects, p) })
}

// projectOf returns the project that the target of a call names, in its path or
// its query, or none.
func projectOf(target string) string {
	path, query, _ := strings.Cut(target, "?")
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if len(parts) > 2 && parts[0] == "v1" && (parts[1] == "project" || parts[1] == "sequence") {
		if p, err := url.PathUnescape(parts[2]); err == nil {
			return p
		}
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	if p := q.Get("project"); p != "" {
		return p
	}
	for condition := range strings.SplitSeq(q.Get("filter"), " AND ") { // of mongodb-datastore
		if p, ok := strings.CutPrefix(strings.TrimSpace(condition), "data.project:"); ok {
			return p
		}
	}
	return ""
}
