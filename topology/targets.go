package topology

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// KeptnServices are the services of Keptn that have an API, by their names in
// its cluster.
var KeptnServices = []string{
	"shipyard-controller", "resource-service", "mongodb-datastore", "secret-service", "api-service", "statistics-service",
}

// api checks where a control plane's API is.
func (c *compiler) api(path string, e *APISpec, p *ControlPlane) {
	p.API = c.url(path+".url", e.URL, "http", "https")
	if p.API != nil && !strings.HasSuffix(strings.TrimRight(p.API.Path, "/"), "/api") {
		c.warn(path+".url", "write the whole of it, such as https://keptn.example.com/api", "does not end in /api, as the public API of Keptn does")
	}
	p.Poll = e.Poll != nil && *e.Poll
	for _, name := range slices.Sorted(maps.Keys(e.Services)) {
		at := path + ".services." + name
		if !slices.Contains(KeptnServices, name) {
			c.bad(at, "write one of "+strings.Join(KeptnServices, ", "), "%.80q is no service of Keptn", name)
			continue
		}
		if e.Services[name] == "" {
			c.bad(at, "write http://host:port", "is missing")
		}
		if u := c.url(at, e.Services[name], "http", "https"); u != nil {
			if p.Services == nil {
				p.Services = map[string]*url.URL{}
			}
			p.Services[name] = u
		}
	}
	if p.Poll && e.URL == "" && len(e.Services) == 0 {
		c.bad(path+".poll", "write the url of its public API", "there is nothing to poll")
	}
}

// PublicTarget is the name of the target by which the public API of a control
// plane is reached in its stamp.
func (c *ControlPlane) PublicTarget() string { return "keptn-" + c.Name }

// ServiceTarget is the same for one of its services.
func (c *ControlPlane) ServiceTarget(service string) string {
	return "keptn-" + c.Name + "-" + service
}

// implied returns the names of the targets that the control planes of stamps
// bring along, by stamp and name, and which one each belongs to.
func (c *compiler) implied() map[string]string {
	out := map[string]string{}
	for i, p := range c.m.ControlPlanes {
		names := []string{p.PublicTarget()}
		for _, s := range KeptnServices {
			names = append(names, p.ServiceTarget(s))
		}
		for _, n := range names {
			key := string(p.Stamp) + "/" + n
			if by := out[key]; by != "" && by != p.Name {
				c.bad(fmt.Sprintf("controlPlanes[%d].name", i), "rename it", "target %q would stand for control planes %q and %q", n, by, p.Name)
			}
			out[key] = p.Name
		}
	}
	return out
}

const maxTimeout = 24 * time.Hour

func (c *compiler) targets() {
	names, implied := map[string]bool{}, c.implied()
	for i := range c.s.Targets {
		e := &c.s.Targets[i]
		path := fmt.Sprintf("targets[%d]", i)
		ok := c.token(path+".name", e.Name)
		if !c.known(path+".stamp", "stamp", e.Stamp, c.hasStamp) || !ok {
			continue
		}
		key := e.Stamp + "/" + e.Name
		switch {
		case names[key]:
			c.bad(path+".name", "", "%q is there twice in stamp %q", e.Name, e.Stamp)
		case implied[key] != "":
			c.bad(path+".name", "rename it", "%q is what the API of control plane %q is called", e.Name, implied[key])
		}
		names[key] = true
		c.m.Targets = append(c.m.Targets, c.target(path, e))
	}
}

// target checks one target.
func (c *compiler) target(path string, e *TargetSpec) *Target {
	if e.URL == "" {
		c.bad(path+".url", "write http://host:port", "is missing")
	}
	t := &Target{
		Name: e.Name, Stamp: StampID(e.Stamp), URL: c.url(path+".url", e.URL, "http", "https"),
		Callers: c.set(path+".callers", e.Callers), Paths: e.Paths, Deny: e.Deny,
		Upgrade: e.Upgrade != nil && *e.Upgrade, KeepHost: e.KeepHost != nil && *e.KeepHost,
		MaxRequest: e.MaxRequest, Timeout: e.Timeout,
	}
	for j, m := range e.Methods {
		if m != strings.ToUpper(m) || strings.ContainsAny(m, " \t") || m == "" {
			c.bad(fmt.Sprintf("%s.methods[%d]", path, j), "write it as GET", "%.20q is not an HTTP method", m)
		}
		t.Methods = append(t.Methods, m)
	}
	if e.MaxRequest < -1 {
		c.bad(path+".maxRequest", "write -1 for no limit", "%d bytes is out of range", e.MaxRequest)
	}
	if e.Timeout < 0 || e.Timeout > maxTimeout {
		c.bad(path+".timeout", "write 0 for none, at most 24h", "%s is out of range", e.Timeout)
	}
	c.paths(path+".paths", e.Paths)
	c.paths(path+".deny", e.Deny)
	return t
}

func (c *compiler) paths(path string, list []string) {
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !strings.HasPrefix(p, "/"):
			c.bad(at, "start it with /", "%.100q is not a path", p)
		case strings.Contains(p, "**") || strings.ContainsAny(p, "?#%"):
			c.bad(at, "write it without escapes and query; a prefix covers what is below it", "%.100q is not a prefix of paths", p)
		}
	}
}
