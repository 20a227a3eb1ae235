package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ringway/ringway/topology"
)

// gateways makes the link server a member of the supercluster: it listens, and
// dials every other hub of the topology. Others are refused, by name and by
// certificate.
func (p *plan) gateways(o *server.Options) error {
	me := p.view.Me
	o.Gateway = server.GatewayOpts{
		Name:          linkName(me.ID),
		Host:          p.at.gateway.host,
		Port:          p.at.gateway.port,
		Advertise:     me.Link.Advertise.Gateway,
		TLSConfig:     p.tls.gateway,
		TLSTimeout:    tlsTimeout,
		RejectUnknown: true,
	}
	for _, s := range p.others() {
		addr := s.Link.Advertise.Gateway
		if addr == "" {
			return fmt.Errorf("dial hub %s: it advertises no gateway address", s.ID)
		}
		o.Gateway.Gateways = append(o.Gateway.Gateways, &server.RemoteGatewayOpts{
			Name:       linkName(s.ID),
			URLs:       []*url.URL{{Scheme: "nats", Host: addr}},
			TLSConfig:  p.tls.gateway.Clone(),
			TLSTimeout: tlsTimeout,
		})
	}
	return nil
}

// others returns the other hubs.
func (p *plan) others() []*topology.Stamp {
	return slices.DeleteFunc(p.view.Hubs(), func(s *topology.Stamp) bool { return s.ID == p.view.Me.ID })
}

// linkKey sums up what the link server is made of and cannot change while it
// runs.
func (p *plan) linkKey() string {
	a := p.view.Me.Link.Advertise
	parts := []string{a.Gateway, a.Leafnode, a.WebSocket}
	for _, s := range p.others() {
		parts = append(parts, string(s.ID)+"="+s.Link.Advertise.Gateway)
	}
	slices.Sort(parts[3:])
	ca := sha256.Sum256(p.tls.ca)
	parts = append(parts, hex.EncodeToString(ca[:]))
	return strings.Join(parts, "|")
}
