package gateway

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

// validateREST checks what is about HTTP.
func (o Options) validateREST(bad func(key, format string, args ...any)) {
	r := o.Rest
	if (r.Cert == "") != (r.Key == "") {
		bad("rest.cert", "has a certificate or a key without the other")
	}
	if r.NamesTLS && r.Cert == "" {
		bad("rest.namesTLS", "needs rest.cert")
	}
	if !slices.Contains([]string{"", face.TunnelSources, face.TunnelToken, face.TunnelOff}, r.Tunnel) {
		bad("rest.tunnel", "%q is not sources, token or off", r.Tunnel)
	}
	if r.Tunnel == face.TunnelToken && r.Tokens == "" && r.TokenReview == "" {
		bad("rest.tunnel", "token needs rest.tokens or rest.tokenReview")
	}
	o.validateReview(bad)
	if _, err := r.proxies(); err != nil {
		bad("rest.trustedProxies", "%v", err)
	}
	if r.MaxRequest < 0 || r.IdleTimeout < 0 {
		bad("rest.maxRequest", "%d bytes, or rest.idleTimeout %s, is negative", r.MaxRequest, r.IdleTimeout)
	}
	if len(r.Names) > 0 && !o.servesREST() {
		bad("rest.names", "needs listen.rest")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Names)) {
		if name != face.AllNames && name != "configuration-service" && !slices.Contains(topology.KeptnServices, name) {
			bad("rest.names", "%q is not * and not one of configuration-service, %s", name, strings.Join(topology.KeptnServices, ", "))
		}
		if _, _, err := net.SplitHostPort(r.Names[name]); err != nil {
			bad("rest.names."+name, "%q is not host:port", r.Names[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Targets)) {
		if t := o.Targets[name]; (t.Cert == "") != (t.Key == "") {
			bad("targets."+name, "has a certificate or a key without the other")
		}
	}
}

// validateReview checks what is about tokens of ServiceAccounts.
func (o Options) validateReview(bad func(key, format string, args ...any)) {
	r := o.Rest
	for _, a := range r.Accounts {
		ns, name, ok := strings.Cut(a, "/")
		if !ok || ns == "" || name == "" || strings.ContainsAny(ns, "*") || strings.Contains(name, "/") || strings.Contains(name, "*") && name != "*" {
			bad("rest.accounts", "%q is not namespace/name or namespace/*", a)
		}
	}
	if r.TokenReview == "" {
		if len(r.Accounts) > 0 {
			bad("rest.accounts", "needs rest.tokenReview")
		}
		return
	}
	if len(r.Accounts) == 0 {
		bad("rest.tokenReview", "needs rest.accounts: it names whose tokens count")
	}
	if r.Audience == "" {
		bad("rest.audience", "is empty, and rest.tokenReview needs it: a token for anybody else must not count")
	}
	if u, err := url.Parse(r.TokenReviewURL); err != nil || u.Scheme != "https" || u.Host == "" {
		bad("rest.tokenReviewURL", "%q is not https://host:port", r.TokenReviewURL)
	}
}

// review returns how tokens of ServiceAccounts are checked; nil if they are not.
func (r Rest) review() *face.Review {
	if r.TokenReview == "" {
		return nil
	}
	return &face.Review{Folder: r.TokenReview, URL: r.TokenReviewURL, Audience: r.Audience, Accounts: r.Accounts}
}

// proxies returns TrustedProxies as ranges.
func (r Rest) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range r.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, e := netip.ParseAddr(text)
			if e != nil {
				return nil, fmt.Errorf("%q is no address and no range", text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// servesREST reports whether clients are served by HTTP.
func (o Options) servesREST() bool { return o.Listen.REST != "" && o.Listen.REST != "off" }

// CompletePaths replaces every path in o by what complete makes of it.
func (o *Options) CompletePaths(complete func(path string) string) {
	for _, p := range []*string{&o.Topology, &o.Identity, &o.Data, &o.ExternalCredentials, &o.Rest.Cert, &o.Rest.Key, &o.Rest.Tokens, &o.Rest.TokenReview, &o.Tracing.HeadersFile, &o.Tracing.CA} {
		*p = complete(*p)
	}
	targets := map[string]TargetFiles{}
	for name, t := range o.Targets {
		t.CA, t.Cert, t.Key = complete(t.CA), complete(t.Cert), complete(t.Key)
		files := map[string]string{}
		for header, f := range t.Credentials {
			files[header] = complete(f)
		}
		t.Credentials = files
		targets[name] = t
	}
	o.Targets = targets
	controls := map[string]ControlPlane{}
	for name, c := range o.ControlPlanes {
		controls[name] = ControlPlane{complete(c.TokenFile), complete(c.CA), complete(c.Cert), complete(c.Key)}
	}
	o.ControlPlanes = controls
}
