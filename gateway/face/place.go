package face

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/ringway/ringway/bridge/call"
)

// A kind of place in the face.
type kind string

// The kinds. They are a label of metrics.
const (
	kindNone   kind = "none"   // nothing is here
	kindHealth kind = "health" // that this process serves
	kindPublic kind = "api"    // Keptn's API, as api-gateway-nginx shows it
	kindName   kind = "name"   // a service by its name in Keptn's cluster
	kindTunnel kind = "tunnel" // a target of a stamp
)

// A place is what a request is about.
type place struct {
	kind          kind
	plane         string // of the prefix /p/<plane>; empty for none
	call          call.Call
	stamp, target string // kindTunnel
	rest          string // kindTunnel: what the target is asked for
}

// publicNames are the services of the public API by their prefix.
var publicNames = map[string]string{
	"controlPlane": call.Shipyard, "mongodb-datastore": call.Datastore,
	"resource-service": call.Resource, "configuration-service": call.Resource, // clients up to 0.17 use the latter
	"secrets": call.Secret, "statistics": call.Statistics,
}

// hostNames are the services by their names in the cluster.
var hostNames = map[string]string{
	call.Shipyard: call.Shipyard, call.Datastore: call.Datastore,
	call.Resource: call.Resource, "configuration-service": call.Resource,
	call.Secret: call.Secret, call.Statistics: call.Statistics, call.API: call.API,
}

// raw returns the request target as it was sent, without the scheme and host
// that a client puts before it when it takes us for a proxy.
func raw(r *http.Request) string {
	t := r.RequestURI
	if t == "" || t[0] == '/' || t == "*" {
		return t
	}
	if _, rest, ok := strings.Cut(t, "://"); ok {
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			return slash(rest[i:])
		}
		return "/"
	}
	return t
}

// segment cuts the first part off a path, after any number of slashes.
func segment(t string) (name, rest string) {
	t = strings.TrimLeft(t, "/")
	if i := strings.IndexAny(t, "/?"); i >= 0 {
		return t[:i], t[i:]
	}
	return t, ""
}

// slash makes a path begin with one slash.
func slash(t string) string { return "/" + strings.TrimLeft(t, "/") }

// public finds out what a request target of the public face means.
func public(t string) place {
	name, rest := segment(t)
	var p place
	if name == "p" {
		if p.plane, rest = segment(rest); !isPlane(p.plane) {
			return place{kind: kindNone}
		}
		if name, rest = segment(rest); name != "api" {
			return place{kind: kindNone}
		}
	}
	switch name {
	case "api":
		p.kind = kindPublic
		p.call = call.Call{Service: call.API, Target: slash(rest), Public: true}
		if first, after := segment(rest); publicNames[first] != "" {
			p.call.Service, p.call.Target = publicNames[first], slash(after)
		}
	case "t":
		p.kind = kindTunnel
		p.stamp, rest = segment(rest)
		p.target, p.rest = segment(rest)
		if p.rest == "" || p.rest[0] == '?' {
			p.rest = "/" + p.rest
		}
	case "nginx-health":
		p.kind = kindHealth
	default:
		p.kind = kindNone
	}
	return p
}

// isPlane reports whether s can be the name of a plane: of a file, too.
func isPlane(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= 253 && s[0] != '.'
}

// serviceOf returns the service that a Host names: shipyard-controller alone,
// or with its namespace as <name>.<namespace>, and .svc, and the domain of the
// cluster. Longer names are none of ours: a page of the web could have one.
func serviceOf(host, domain string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	name, rest, _ := strings.Cut(host, ".")
	rest = strings.TrimSuffix(rest, "."+domain)
	namespace, svc, _ := strings.Cut(rest, ".")
	if svc != "" && svc != "svc" || strings.Contains(namespace, ".") {
		return ""
	}
	return hostNames[name]
}

// foreign reports whether a page of another site makes a browser ask for something
// that changes what is there, or for a connection. Where no token is shown, the
// address of the browser would do.
func foreign(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if r.Header.Get("Upgrade") == "" {
			return false
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site != "same-origin" && site != "none"
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}

// climbs reports whether a path goes up with .., however it is written.
func climbs(target string) bool {
	p, _, _ := strings.Cut(target, "?")
	if !strings.Contains(p, "..") && !strings.Contains(p, "%2") {
		return false
	}
	if d, err := url.PathUnescape(p); err == nil {
		p = d
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}
