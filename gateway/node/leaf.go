package node

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ringway/ringway/topology"
)

// proxyTimeout bounds dialling an HTTP proxy and its CONNECT.
const proxyTimeout = 5 * time.Second

// leafListener is where leaf stamps and the own local server come in.
func (p *plan) leafListener(o *server.Options) {
	o.LeafNode.Host = p.at.leafnode.host
	o.LeafNode.Port = p.at.leafnode.port
	o.LeafNode.Advertise = p.view.Me.Link.Advertise.Leafnode
	o.LeafNode.TLSConfig = p.tls.listen
	o.LeafNode.TLSTimeout = tlsTimeout
	o.LeafNode.Compression.Mode = server.CompressionAccept // the leaf says
}

// remotes returns whom the local server dials: for FED the own link server, or
// the hubs; for APP an external NATS, if the topology names one.
func (p *plan) remotes() ([]*server.RemoteLeafOpts, error) {
	var all []*server.RemoteLeafOpts
	if p.hub() {
		all = append(all, p.ownRemote())
	} else {
		hubs, err := p.hubRemote()
		if err != nil {
			return nil, err
		}
		all = append(all, hubs)
	}
	if p.view.Me.Clients.Mode == topology.ClientsExternal {
		ext, err := p.externalRemote()
		if err != nil {
			return nil, err
		}
		all = append(all, ext)
	}
	return all, nil
}

// fedRemote is what every way into the federation has in common.
func (p *plan) fedRemote() *server.RemoteLeafOpts {
	return &server.RemoteLeafOpts{
		LocalAccount:     p.creds.key(FED),
		Credentials:      p.creds.LeafCreds, // a file: a callback could not be reloaded
		NoRandomize:      true,
		TLSTimeout:       tlsTimeout,
		FirstInfoTimeout: tlsTimeout * time.Second,
		// Only what the topology says: addresses learned from a hub may not be
		// reachable from here.
		IgnoreDiscoveredServers: true,
	}
}

// ownRemote joins the two servers of a hub.
func (p *plan) ownRemote() *server.RemoteLeafOpts {
	r := p.fedRemote()
	r.URLs = []*url.URL{{Scheme: "nats-leaf", Host: p.at.leafnode.reach()}}
	r.TLSConfig = p.tls.own
	r.Compression.Mode = server.CompressionOff
	return r
}

// hubRemote joins a leaf stamp to one of its hubs, the first that answers. It
// is one remote with many addresses: two remotes of one account into the same
// supercluster are a loop.
func (p *plan) hubRemote() (*server.RemoteLeafOpts, error) {
	r := p.fedRemote()
	link := p.view.Me.Link
	for _, id := range link.Via {
		u, err := p.hubURL(id)
		if err != nil {
			return nil, err
		}
		if p.dials > 0 {
			// The server does not change how it dials a remote that it has, and
			// knows it by its addresses. A fragment makes it another one.
			u.Fragment = fmt.Sprintf("dial-%d", p.dials)
		}
		r.URLs = append(r.URLs, u)
	}
	if len(r.URLs) == 0 {
		return nil, errors.New("dial a hub: the topology names none")
	}
	r.TLSConfig = p.tls.leaf
	r.Compression.Mode = server.CompressionOff
	if link.Compression == topology.CompressionS2 {
		r.Compression.Mode = server.CompressionS2Auto // the slower the answers, the better
	}
	if link.Proxy != nil {
		r.Proxy.URL = link.Proxy.URL.String()
		r.Proxy.Username, r.Proxy.Password = p.proxyUser, p.proxyPassword
		r.Proxy.Timeout = proxyTimeout
	}
	return r, nil
}

// dialsAs reports whether hubs are dialled in the same way: through the same proxy,
// as the same user, and with the same compression.
func (p *plan) dialsAs(o *plan) bool {
	if p.view.Me.Link.Compression != o.view.Me.Link.Compression {
		return false
	}
	a, b := p.view.Me.Link.Proxy, o.view.Me.Link.Proxy
	if a == nil || b == nil {
		return a == b
	}
	return a.URL.String() == b.URL.String() && p.proxyUser == o.proxyUser && p.proxyPassword == o.proxyPassword
}

func (p *plan) hubURL(id topology.StampID) (*url.URL, error) {
	hub := stampOfView(p.view, id)
	if hub == nil {
		return nil, fmt.Errorf("dial hub %s: it is not in the topology", id)
	}
	u := &url.URL{Scheme: "nats-leaf", Host: hub.Link.Advertise.Leafnode}
	if p.view.Me.Link.Transport == topology.TransportWSS {
		u = &url.URL{Scheme: "wss", Host: hub.Link.Advertise.WebSocket}
	}
	if u.Host == "" {
		return nil, fmt.Errorf("dial hub %s: it advertises no address for %s", id, u.Scheme)
	}
	return u, nil
}

func stampOfView(v *topology.View, id topology.StampID) *topology.Stamp {
	for _, s := range v.Stamps {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// externalRemote joins APP to the NATS that is already there.
func (p *plan) externalRemote() (*server.RemoteLeafOpts, error) {
	u, err := url.Parse(p.view.Me.Clients.Leafnode)
	if err != nil {
		return nil, fmt.Errorf("parse leafnode address of the external NATS: %w", err)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("parse leafnode address of the external NATS: %q has no host", u.Redacted())
	}
	return &server.RemoteLeafOpts{
		LocalAccount: p.creds.key(APP),
		URLs:         []*url.URL{u},
		Credentials:  p.creds.ExternalCreds,
		TLS:          u.Scheme == "tls",
		TLSTimeout:   tlsTimeout,
	}, nil
}

// readProxyCredentials reads "user:password" from the file that the topology
// names.
func readProxyCredentials(p *topology.Proxy) (user, password string, err error) {
	if p == nil || p.CredentialsFile == "" {
		return "", "", nil
	}
	b, err := os.ReadFile(p.CredentialsFile)
	if err != nil {
		return "", "", fmt.Errorf("read credentials of the proxy: %w", err)
	}
	user, password, ok := strings.Cut(strings.TrimSpace(string(b)), ":")
	if !ok {
		return "", "", fmt.Errorf("read credentials of the proxy: %s does not hold user:password", p.CredentialsFile)
	}
	return user, password, nil
}
