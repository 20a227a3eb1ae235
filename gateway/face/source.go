package face

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds the addresses of X-Forwarded-For that are looked at.
const maxHops = 16

// source returns the address that a request comes from: that of the connection,
// or if that is a trusted proxy the one that the proxy says, and so on. What whoever
// is not trusted says of others counts nothing.
func (f *Face) source(r *http.Request) netip.Addr {
	at := sourceOf(r.RemoteAddr)
	if len(f.cfg.Proxies) == 0 || !f.proxied(at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	slices.Reverse(hops)
	for _, hop := range hops[:min(len(hops), maxHops)] {
		is, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return at // nobody knows who was before it
		}
		if at = is; !f.proxied(at) {
			return at
		}
	}
	return at
}

// proxied reports whether a client's address is that of a trusted proxy.
func (f *Face) proxied(a netip.Addr) bool {
	return slices.ContainsFunc(f.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseHop reads an address, which some proxies write with its port.
func parseHop(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(s); err == nil {
			a = ap.Addr()
		}
	}
	return a.Unmap().WithZone(""), err
}
