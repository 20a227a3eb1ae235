package topology

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The defaults of a stamp, in one place. A key that is not given means these.
var (
	defaultRoles   = []string{string(RoleExecution)}
	defaultSources = []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7",
	}
)

const (
	defaultReplicas     = 1
	defaultLinkKind     = LinkLeaf
	defaultTransport    = TransportTLS
	defaultClients      = ClientsEmbedded
	defaultLeafnodePort = "7422"
)

// inherit lays over under, key by key.
func inherit(under, over StampSpec) StampSpec {
	out := StampSpec{
		Labels:   merge(under.Labels, over.Labels),
		Roles:    pick(over.Roles, under.Roles),
		Replicas: cmp.Or(over.Replicas, under.Replicas),
		Trusted:  cmp.Or(over.Trusted, under.Trusted),
		Link: LinkSpec{
			Kind: cmp.Or(over.Link.Kind, under.Link.Kind), Via: pick(over.Link.Via, under.Link.Via),
			Transport: cmp.Or(over.Link.Transport, under.Link.Transport), Compression: cmp.Or(over.Link.Compression, under.Link.Compression),
			Proxy: cmp.Or(over.Link.Proxy, under.Link.Proxy),
			Advertise: AdvertiseSpec{
				Gateway:   cmp.Or(over.Link.Advertise.Gateway, under.Link.Advertise.Gateway),
				Leafnode:  cmp.Or(over.Link.Advertise.Leafnode, under.Link.Advertise.Leafnode),
				WebSocket: cmp.Or(over.Link.Advertise.WebSocket, under.Link.Advertise.WebSocket),
			},
		},
		Clients: ClientsSpec{
			Mode: cmp.Or(over.Clients.Mode, under.Clients.Mode), URL: cmp.Or(over.Clients.URL, under.Clients.URL),
			Leafnode: cmp.Or(over.Clients.Leafnode, under.Clients.Leafnode), Sources: pick(over.Clients.Sources, under.Clients.Sources),
		},
	}
	// What belongs to the other kind of link or of clients is not inherited.
	if over.Link.Kind == string(LinkHub) {
		out.Link.Via, out.Link.Transport, out.Link.Proxy = over.Link.Via, over.Link.Transport, over.Link.Proxy
		out.Link.Compression = over.Link.Compression
	}
	if over.Clients.Mode == string(ClientsEmbedded) {
		out.Clients.URL, out.Clients.Leafnode = over.Clients.URL, over.Clients.Leafnode
	}
	return out
}

func pick(a, b []string) []string {
	if len(a) > 0 {
		return a
	}
	return b
}

func groupDefaults(groups []GroupSpec, name string) StampSpec {
	for _, g := range groups {
		if g.Name == name {
			return g.Defaults
		}
	}
	return StampSpec{}
}

// stamp checks entry i and completes it from what it inherits.
func (c *compiler) stamp(i int) {
	e := c.s.Stamps[i]
	path := fmt.Sprintf("stamps[%d]", i)
	if !c.token(path+".name", e.Name) {
		return
	}
	if c.hasStamp(e.Name) {
		c.bad(path+".name", "", "%q is there twice", e.Name)
		return
	}
	c.known(path+".geo", "geo", e.Geo, c.hasGeo)
	c.known(path+".ring", "ring", e.Ring, c.hasRing)
	w := inherit(inherit(inherit(c.s.Defaults, groupDefaults(c.s.Geos, e.Geo)), groupDefaults(c.s.Rings, e.Ring)), StampSpec{
		Labels: e.Labels, Roles: e.Roles, Replicas: e.Replicas, Trusted: e.Trusted, Link: e.Link, Clients: e.Clients,
	})
	s := &Stamp{
		ID: StampID(e.Name), Geo: Geo(e.Geo), Ring: Ring(e.Ring), Labels: w.Labels,
		Replicas: cmp.Or(w.Replicas, defaultReplicas), Trusted: w.Trusted != nil && *w.Trusted,
	}
	if !slices.Contains([]int{1, 3, 5}, s.Replicas) {
		c.bad(path+".replicas", "write 1, 3 or 5", "%d replicas cannot agree", s.Replicas)
	}
	for j, r := range pick(w.Roles, defaultRoles) {
		switch oneOf(c, fmt.Sprintf("%s.roles[%d]", path, j), r, RoleExecution, RoleControl, RoleExecution) {
		case RoleControl:
			s.Control = true
		case RoleExecution:
			s.Execution = true
		}
	}
	s.Link = c.link(path+".link", w.Link)
	s.Clients = c.clients(path+".clients", w.Clients)
	c.m.Stamps = append(c.m.Stamps, s)
	c.m.stamps[s.ID] = s
	c.at[s.ID] = i
}

func (c *compiler) link(path string, w LinkSpec) Link {
	l := Link{
		Kind:      oneOf(c, path+".kind", w.Kind, defaultLinkKind, LinkHub, LinkLeaf),
		Advertise: Advertise{Gateway: w.Advertise.Gateway, Leafnode: w.Advertise.Leafnode, WebSocket: w.Advertise.WebSocket},
	}
	if l.Kind == LinkHub {
		c.hubKeys(path, w)
		return l
	}
	l.Transport = oneOf(c, path+".transport", w.Transport, defaultTransport, TransportTLS, TransportWSS)
	l.Compression = oneOf(c, path+".compression", w.Compression, CompressionNone, CompressionNone, CompressionS2)
	for _, v := range w.Via {
		l.Via = append(l.Via, StampID(v))
	}
	l.Advertise = Advertise{}
	if w.Proxy.URL != "" {
		if u := c.url(path+".proxy.url", w.Proxy.URL, "http", "https"); u != nil {
			l.Proxy = &Proxy{URL: u, CredentialsFile: w.Proxy.CredentialsFile}
		}
	}
	return l
}

func (c *compiler) hubKeys(path string, w LinkSpec) {
	if len(w.Via) > 0 {
		c.bad(path+".via", "drop it, or make the stamp a leaf", "a hub is not reached via others")
	}
	if w.Transport != "" {
		c.bad(path+".transport", "drop it", "means nothing for a hub")
	}
	if w.Compression != "" {
		c.bad(path+".compression", "drop it", "means nothing for a hub")
	}
	for _, a := range []struct{ key, addr string }{
		{"gateway", w.Advertise.Gateway}, {"leafnode", w.Advertise.Leafnode}, {"websocket", w.Advertise.WebSocket},
	} {
		if a.addr == "" {
			continue
		}
		u, err := url.Parse("//" + a.addr)
		if err != nil || u.Host != a.addr || u.Hostname() == "" || !isPort(u.Port()) {
			c.bad(path+".advertise."+a.key, "write host:port", "%.100q is not an address", a.addr)
		} else if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
			c.bad(path+".advertise."+a.key, "write the host:port that others dial", "%q is where it listens, not where others reach it", a.addr)
		}
	}
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (c *compiler) clients(path string, w ClientsSpec) Clients {
	out := Clients{Mode: oneOf(c, path+".mode", w.Mode, defaultClients, ClientsEmbedded, ClientsExternal)}
	for i, s := range pick(w.Sources, defaultSources) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			c.bad(fmt.Sprintf("%s.sources[%d]", path, i), "write it as 10.0.0.0/8", "%.60q is not a CIDR", s)
			continue
		}
		if p.Bits() == 0 {
			c.warn(fmt.Sprintf("%s.sources[%d]", path, i), "name the networks of its clients", "%s lets in everybody who reaches the port, without credentials", s)
		}
		out.Sources = append(out.Sources, p)
	}
	if out.Mode == ClientsEmbedded {
		if w.URL != "" || w.Leafnode != "" {
			c.bad(path, "write mode: external, or drop url and leafnode", "names a server, but the stamp's NATS is Ringway itself")
		}
		return out
	}
	u := c.url(path+".url", w.URL, "nats", "tls")
	if w.URL == "" {
		c.bad(path+".url", "write nats://host:4222", "is missing")
	}
	out.URL = w.URL
	if w.Leafnode != "" {
		c.url(path+".leafnode", w.Leafnode, "nats-leaf", "tls", "nats", "ws", "wss")
		out.Leafnode = w.Leafnode
	} else if u != nil {
		out.Leafnode = "nats-leaf://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + ":" + defaultLeafnodePort
	}
	return out
}
