package topology

import (
	"fmt"

	"github.com/ringway/ringway/internal/yamlfile"
)

// OneMachine changes the Spec so that all of it can run on one machine, for a
// look at it: clients of an external NATS become embedded, proxies are left
// out, every stamp has one replica, and the APIs of control planes are left alone.
// It returns a note for each change.
func (s *Spec) OneMachine() []string {
	var notes []string
	for _, d := range s.stampSpecs() {
		if d.clients.Mode == string(ClientsExternal) {
			notes = append(notes, fmt.Sprintf("%s: the external NATS is not there; its clients use Ringway's own", d.name))
		}
		*d.clients = ClientsSpec{Sources: d.clients.Sources}
		if d.link.Proxy.URL != "" {
			notes = append(notes, fmt.Sprintf("%s: dials without the proxy %s", d.name, d.link.Proxy.URL))
			d.link.Proxy = ProxySpec{}
		}
		if *d.replicas > 1 {
			notes = append(notes, fmt.Sprintf("%s: runs 1 replica of %d", d.name, *d.replicas))
		}
		*d.replicas = 0
	}
	for i := range s.ControlPlanes {
		c := &s.ControlPlanes[i]
		if c.API.URL != "" || len(c.API.Services) > 0 {
			notes = append(notes, c.Name+": the API of the real one is left alone")
			c.API = APISpec{}
		}
	}
	return notes
}

// A stampPart is one place of a Spec where stamps are described.
type stampPart struct {
	name     string
	link     *LinkSpec
	clients  *ClientsSpec
	replicas *int
}

func (s *Spec) stampSpecs() []stampPart {
	part := func(name string, d *StampSpec) stampPart { return stampPart{name, &d.Link, &d.Clients, &d.Replicas} }
	out := []stampPart{part("defaults", &s.Defaults)}
	for i := range s.Geos {
		out = append(out, part("geo "+s.Geos[i].Name, &s.Geos[i].Defaults))
	}
	for i := range s.Rings {
		out = append(out, part("ring "+s.Rings[i].Name, &s.Rings[i].Defaults))
	}
	for i := range s.Stamps {
		e := &s.Stamps[i]
		out = append(out, stampPart{"stamp " + e.Name, &e.Link, &e.Clients, &e.Replicas})
	}
	return out
}

// Marshal returns the Spec as a topology file.
func (s *Spec) Marshal() ([]byte, error) {
	b, err := yamlfile.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write topology: %w", err)
	}
	return b, nil
}
