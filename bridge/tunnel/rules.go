package tunnel

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/ringway/ringway/topology"
)

// A Rule allows or denies some requests. Empty lists mean any.
type Rule struct {
	Deny    bool
	Stamps  []topology.StampID // that ask
	Methods []string
	// Paths are patterns of the path, without the query: * stands for one part
	// and, at the end, ** for any number of them, none included.
	Paths []string
}

// Rules say who may ask what. The first that fits decides; what none fits is
// denied, but without any rule everything is allowed.
//
// Upstreams differ in how they read a path: %2F may be a part of a name or a
// slash, and // and .. may be resolved or not. So a rule that denies fits if
// any reading of the path does, and one that allows if all do.
type Rules []Rule

// Allow reports whether stamp from may ask for target with a method.
func (r Rules) Allow(from topology.StampID, method, target string) bool {
	if len(r) == 0 {
		return true
	}
	ways := readings(target)
	for _, rule := range r {
		if rule.fits(from, method, ways) {
			return !rule.Deny
		}
	}
	return false
}

func (r *Rule) fits(from topology.StampID, method string, ways [][]string) bool {
	if len(r.Stamps) > 0 && !slices.Contains(r.Stamps, from) || len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
		return false
	}
	if len(r.Paths) == 0 {
		return true
	}
	some, all := false, true
	for _, way := range ways {
		fits := slices.ContainsFunc(r.Paths, func(p string) bool { return match(strings.Split(strings.Trim(p, "/"), "/"), way) })
		some, all = some || fits, all && fits
	}
	if r.Deny {
		return some
	}
	return all
}

// match reports whether the parts of a path fit those of a pattern.
func match(pattern, parts []string) bool {
	for i, p := range pattern {
		if p == "**" {
			return true
		}
		if i >= len(parts) || p != "*" && p != parts[i] {
			return false
		}
	}
	return len(parts) == len(pattern)
}

// readings returns the ways in which the path of a target can be understood,
// each as its parts.
func readings(target string) [][]string {
	raw, _, _ := strings.Cut(target, "?")
	raw, _, _ = strings.Cut(raw, "#")
	var out [][]string
	for _, p := range []string{raw, decode(raw)} {
		out = append(out, parts(p), parts(path.Clean("/"+p)))
	}
	// %2F as a part of a name, every other escape decoded.
	var kept []string
	for _, part := range parts(raw) {
		kept = append(kept, decode(part))
	}
	return append(out, kept)
}

// climbs reports whether any reading of the path of a target goes up from where it
// begins. An upstream's URL may have a path, and what lies beside that is not
// served.
func climbs(target string) bool {
	for _, way := range readings(target) {
		depth := 0
		for _, part := range way {
			switch part {
			case ".":
			case "..":
				depth--
			default:
				depth++
			}
			if depth < 0 {
				return true
			}
		}
	}
	return false
}

func decode(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// parts splits a path and drops what is empty.
func parts(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" })
}

// keptnDenied is what Keptn's own gateway denies, by service: whoever goes past
// that gateway must deny the same.
var keptnDenied = map[string][]Rule{
	"controlPlane": {{Methods: []string{"DELETE"}, Paths: []string{"/v1/log"}}},
	"mongodb-datastore": {
		{Paths: []string{"/health"}},
	},
	"resource-service":      {{Paths: structure}},
	"configuration-service": {{Paths: structure}},
	"statistics":            {{Paths: []string{"/v1/event"}}},
}

// structure is what the resource service offers beside resources.
var structure = []string{
	"/v1/project", "/v1/project/*",
	"/v1/project/*/stage", "/v1/project/*/stage/*",
	"/v1/project/*/stage/*/service", "/v1/project/*/stage/*/service/*",
	"/v1/project/*/service/*/resource/**",
}

// services names the in-cluster services of Keptn by their public prefix.
var services = map[string]string{
	"shipyard-controller": "controlPlane", "mongodb-datastore": "mongodb-datastore", "resource-service": "resource-service",
	"configuration-service": "configuration-service", "statistics-service": "statistics",
}

// KeptnRules are what api-gateway-nginx of Keptn denies; the rest is allowed.
// They are for the public paths, below /api and also without it.
func KeptnRules() Rules {
	var out Rules
	for service := range keptnDenied {
		for _, prefix := range []string{"/api/", "/"} {
			out = append(out, keptnDenials(service, prefix+service)...)
		}
	}
	return append(out, Rule{})
}

// KeptnServiceRules are the same for a target that is one service of Keptn, by
// its name in the cluster, such as shipyard-controller.
func KeptnServiceRules(service string) Rules {
	return append(keptnDenials(services[service], ""), Rule{})
}

// keptnDenials returns the denials of a service below a prefix.
func keptnDenials(service, prefix string) Rules {
	var out Rules
	if service == "mongodb-datastore" {
		event := []string{prefix + "/event"}
		out = append(out, Rule{Methods: []string{"GET", "HEAD", "OPTIONS"}, Paths: event}, Rule{Deny: true, Paths: event})
	}
	for _, r := range keptnDenied[service] {
		d := Rule{Deny: true, Methods: r.Methods}
		for _, p := range r.Paths {
			d.Paths = append(d.Paths, prefix+p)
		}
		out = append(out, d)
	}
	return out
}
