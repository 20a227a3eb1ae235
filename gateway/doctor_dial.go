package gateway

import (
	"context"
	"net"
	"net/url"
	"sync"
	"time"
)

// A dial is an address that the stamp connects to.
type dial struct{ what, addr string }

// dialLimit is how long one attempt may take.
const dialLimit = 3 * time.Second

// reachable tries names and addresses, all at once: a firewall that drops costs
// the whole limit.
func (e *exam) reachable(ctx context.Context) {
	all := e.dialled()
	names, ports := make([]error, len(all)), make([]error, len(all))
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	var wg sync.WaitGroup
	for i, d := range all {
		wg.Go(func() { names[i], ports[i] = tryAddr(ctx, d.addr) })
	}
	wg.Wait()
	for i, d := range all {
		host, _, _ := net.SplitHostPort(d.addr) // tryAddr says what is wrong with it
		if net.ParseIP(host) != nil {
			continue // nothing to look up
		}
		check := "the name of " + d.what + " has an address"
		if err := names[i]; err != nil {
			e.fail(catDNS, check, CodeName, "%s: %v (side: %s)", d.addr, err, e.s.Stamp)
		} else {
			e.ok(catDNS, check)
		}
	}
	for i, d := range all {
		check := d.what + " can be dialled"
		switch err := ports[i]; {
		case names[i] != nil: // said above
		case err != nil:
			e.fail(catPorts, check, CodePort, "%s: %v (side: %s)", d.addr, err, e.s.Stamp)
		default:
			e.ok(catPorts, check)
		}
	}
}

// tryAddr looks the name of a host:port up and connects to it.
func tryAddr(ctx context.Context, addr string) (name, port error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err, nil
	}
	if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
		return err, nil
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.Close() // nothing was sent
	return nil, nil
}

// hostPort returns where a URL leads, with the port of its scheme if it names
// none.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := map[string]string{"https": "443", "wss": "443", "nats": "4222", "tls": "4222", "nats-leaf": "7422"}[u.Scheme]
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func urlHostPort(text string) string {
	u, err := url.Parse(text)
	if err != nil || text == "" {
		return ""
	}
	return hostPort(u)
}
