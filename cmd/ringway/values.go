package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/internal/yamlfile"
	"github.com/ringway/ringway/topology"
)

// The values of charts/ringway that follow from a topology, as the chart names
// them. What is the chart's default is left out.
type chartValues struct {
	ReplicaCount  int                     `yaml:"replicaCount" json:"replicaCount"`
	Topology      topologyValues          `yaml:"topology" json:"topology"`
	Auth          secretValues            `yaml:"auth" json:"auth"`
	NATS          natsValues              `yaml:"nats,omitempty" json:"nats,omitzero"`
	Link          *linkValues             `yaml:"link,omitempty" json:"link,omitempty"`
	Keptn         keptnValues             `yaml:"keptn,omitempty" json:"keptn,omitzero"`
	ControlPlanes map[string]secretValues `yaml:"controlPlanes,omitempty" json:"controlPlanes,omitempty"`
	NetworkPolicy networkValues           `yaml:"networkPolicy,omitempty" json:"networkPolicy,omitzero"`
}

type topologyValues struct {
	Stamp topology.StampID `yaml:"stamp" json:"stamp"`
}

type secretValues struct {
	ExistingSecret string `yaml:"existingSecret" json:"existingSecret"`
}

type natsValues struct {
	Gateway   *portValues     `yaml:"gateway,omitempty" json:"gateway,omitempty"`
	Leafnodes *portValues     `yaml:"leafnodes,omitempty" json:"leafnodes,omitempty"`
	WebSocket *portValues     `yaml:"websocket,omitempty" json:"websocket,omitempty"`
	External  *externalValues `yaml:"external,omitempty" json:"external,omitempty"`
}

type portValues struct {
	Enabled     bool `yaml:"enabled" json:"enabled"`
	ServicePort int  `yaml:"servicePort,omitempty" json:"servicePort,omitempty"`
	NodePort    int  `yaml:"nodePort,omitempty" json:"nodePort,omitempty"`
}

type externalValues struct {
	Enabled bool   `yaml:"enabled" json:"enabled"`
	URL     string `yaml:"url" json:"url"`
}

type linkValues struct {
	Service struct {
		Type string `yaml:"type" json:"type"`
	} `yaml:"service" json:"service"`
}

type enabledValues struct {
	Enabled bool `yaml:"enabled" json:"enabled"`
}

type keptnValues struct {
	ExecutionPlane *enabledValues `yaml:"executionPlane,omitempty" json:"executionPlane,omitempty"`
	ControlPlane   *controlValues `yaml:"controlPlane,omitempty" json:"controlPlane,omitempty"`
}

type controlValues struct {
	Enabled   bool   `yaml:"enabled" json:"enabled"`
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
}

type networkValues struct {
	Egress []egressValues `yaml:"egress,omitempty" json:"egress,omitempty"`
}

// An egressValues is a place that a gateway has to get to. Of one that is known
// by name only there is a port; of a Service in the cluster there is a
// namespace, because its pods listen on ports of their own.
type egressValues struct {
	Name      string `yaml:"name" json:"name"`
	CIDR      string `yaml:"cidr,omitempty" json:"cidr,omitempty"`
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	Port      int    `yaml:"port,omitempty" json:"port,omitempty"`
}

func newValuesCommand() *cobra.Command {
	var file, stamp, output, out, flux string
	cmd := &cobra.Command{
		Use:   "values [-f FILE] (--stamp STAMP | --out DIR | --flux DIR)",
		Short: "Print the values of the Helm chart that follow from a topology",
		Long: `Print the values of the Helm chart that follow from a topology: how many
replicas, what a hub listens on, who is there already, and where the gateway has
to get, for its network policy. With --out they are written for every stamp, to
DIR/STAMP/topology-values.yaml, and beside them stamp.yaml with the stamp's name,
geo and ring, for what rolls releases out ring by ring. Values of one's own come
after these. With --flux the whole rollout is written, for Flux in one cluster that
reaches all: a Kustomization for each ring, in order, and a HelmRelease for each
stamp.`,
		Example: `  ringway topology values -f topology.yaml --stamp eu-1 > values.yaml
  helm install ringway charts/ringway -f values.yaml --set-file topology.inline=topology.yaml
  ringway topology values -f topology.yaml --out stamps
  ringway topology values -f topology.yaml --flux flux`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n := len(slices.DeleteFunc([]string{stamp, out, flux}, func(s string) bool { return s == "" })); n != 1 {
				return usageError{errors.New("give --stamp, --out or --flux, and one of them")}
			}
			mesh, err := readMesh(file)
			if err != nil {
				return err
			}
			if flux != "" {
				return writeFluxOf(mesh, file, flux)
			}
			if out != "" {
				return writeAllValues(mesh, out)
			}
			s := mesh.Stamp(topology.StampID(stamp))
			if s == nil {
				return usageError{fmt.Errorf("--stamp: there is no stamp %q in %s", stamp, file)}
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), valuesOf(mesh, s))
			}
			text, err := valuesText(mesh, s)
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().StringVar(&stamp, "stamp", "", "stamp whose values are printed")
	cmd.Flags().StringVar(&out, "out", "", "folder to which those of every stamp are written")
	cmd.Flags().StringVar(&flux, "flux", "", "folder to which objects of Flux are written")
	outputFlag(cmd, &output, outputYAML, outputJSON)
	return cmd
}

// writeAllValues writes a folder for each stamp. It removes none.
func writeAllValues(mesh *topology.Mesh, dir string) error {
	for _, s := range mesh.Stamps {
		text, err := valuesText(mesh, s)
		if err != nil {
			return err
		}
		of := filepath.Join(dir, string(s.ID))
		err = os.MkdirAll(of, 0o755) //nolint:gosec // nothing secret
		for name, content := range map[string]string{
			"topology-values.yaml": text,
			"stamp.yaml":           fmt.Sprintf("name: %s\ngeo: %s\nring: %s\n", s.ID, s.Geo, s.Ring),
		} {
			if err == nil {
				err = os.WriteFile(filepath.Join(of, name), []byte(content), 0o644) //nolint:gosec // nothing secret
			}
		}
		if err != nil {
			return fmt.Errorf("write values of stamp %s: %w", s.ID, err)
		}
	}
	return nil
}

func valuesText(mesh *topology.Mesh, s *topology.Stamp) (string, error) {
	b, err := yamlfile.Marshal(valuesOf(mesh, s))
	if err != nil {
		return "", fmt.Errorf("write values of stamp %s: %w", s.ID, err)
	}
	return fmt.Sprintf("# Stamp %s of federation %s. Made by `ringway topology values`.\n%s", s.ID, mesh.Name, b), nil
}

// valuesOf returns what the chart has to know of s.
func valuesOf(mesh *topology.Mesh, s *topology.Stamp) chartValues {
	v := chartValues{
		ReplicaCount: s.Replicas, Topology: topologyValues{s.ID}, Auth: secretValues{"ringway-identity"},
		NetworkPolicy: networkValues{egressOf(mesh, s)},
	}
	if s.Link.Kind == topology.LinkHub {
		a := s.Link.Advertise
		v.NATS.Gateway, v.NATS.Leafnodes, v.NATS.WebSocket = portOf(a.Gateway, 7222), portOf(a.Leafnode, 7422), portOf(a.WebSocket, 443)
		if nodePorts(v.NATS.Gateway, v.NATS.Leafnodes, v.NATS.WebSocket) {
			v.Link = &linkValues{}
			v.Link.Service.Type = "NodePort"
		}
	}
	if s.Clients.Mode == topology.ClientsExternal {
		v.NATS.External = &externalValues{true, s.Clients.URL}
	}
	if !s.Execution {
		v.Keptn.ExecutionPlane = &enabledValues{false}
	}
	for _, c := range mesh.ControlPlanes {
		switch {
		case c.Stamp != s.ID:
		case !c.Poll: // its names are taken
			v.Keptn.ControlPlane = controlOf(c)
		default: // it is somewhere else
			if v.ControlPlanes == nil {
				v.ControlPlanes = map[string]secretValues{}
			}
			v.ControlPlanes[c.Name] = secretValues{"ringway-control-" + strings.ToLower(c.Name)}
		}
	}
	return v
}

// controlOf returns where Keptn is, if a URL of its API says so.
func controlOf(c *topology.ControlPlane) *controlValues {
	out := &controlValues{Enabled: true}
	all := []*url.URL{c.API}
	for _, service := range slices.Sorted(maps.Keys(c.Services)) {
		all = append(all, c.Services[service])
	}
	for _, u := range all {
		if u != nil {
			out.Namespace = cmp.Or(out.Namespace, placesOf("", u.Hostname()+":1")[0].Namespace)
		}
	}
	return out
}

// The range in which Kubernetes gives out ports of nodes.
const minNodePort, maxNodePort = 30000, 32767

// portOf returns how a hub listens where addr is what it advertises, or nil if
// that is empty.
func portOf(addr string, usual int) *portValues {
	_, text, ok := cutPort(addr)
	port, err := strconv.Atoi(text)
	switch {
	case !ok || err != nil:
		return nil
	case port == usual:
		return &portValues{Enabled: true}
	case port >= minNodePort && port <= maxNodePort:
		return &portValues{Enabled: true, NodePort: port}
	}
	return &portValues{Enabled: true, ServicePort: port}
}

// nodePorts reports whether all that is advertised is a port of nodes.
func nodePorts(all ...*portValues) bool {
	all = slices.DeleteFunc(all, func(p *portValues) bool { return p == nil })
	return len(all) > 0 && !slices.ContainsFunc(all, func(p *portValues) bool { return p.NodePort == 0 })
}

// cutPort splits host:port.
func cutPort(addr string) (host, port string, ok bool) {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return addr, "", false
	}
	return strings.Trim(addr[:i], "[]"), addr[i+1:], true
}

// The port of a URL that names none.
var schemePorts = map[string]string{"http": "80", "https": "443", "nats": "4222", "tls": "4222", "nats-leaf": "7422", "ws": "80", "wss": "443"}

// egressOf returns every place that the gateway of s has to get to.
func egressOf(mesh *topology.Mesh, s *topology.Stamp) []egressValues {
	var out []egressValues
	add := func(name, addr string) {
		for _, e := range placesOf(name, addr) {
			same := func(o egressValues) bool {
				return e.Namespace != "" && o.Namespace == e.Namespace || e.Namespace == "" && o.CIDR == e.CIDR && o.Port == e.Port && o.Namespace == ""
			}
			if i := slices.IndexFunc(out, same); i >= 0 {
				if !slices.Contains(strings.Split(out[i].Name, ", "), e.Name) {
					out[i].Name += ", " + e.Name
				}
				continue
			}
			out = append(out, e)
		}
	}
	addURL := func(name string, u *url.URL) {
		if u != nil {
			add(name, u.Hostname()+":"+cmp.Or(u.Port(), schemePorts[u.Scheme]))
		}
	}
	for _, hub := range mesh.Hubs() {
		if s.Link.Kind == topology.LinkHub && hub.ID != s.ID {
			add("hub "+string(hub.ID), hub.Link.Advertise.Gateway)
		}
	}
	if s.Link.Proxy != nil {
		addURL("proxy", s.Link.Proxy.URL)
	} else {
		for _, id := range s.Link.Via {
			add("hub "+string(id), mesh.Stamp(id).Link.Advertise.For(s.Link.Transport))
		}
	}
	if s.Clients.Mode == topology.ClientsExternal {
		for _, text := range []string{s.Clients.URL, s.Clients.Leafnode} {
			if u, err := url.Parse(text); err == nil {
				addURL("NATS of the clients", u)
			}
		}
	}
	for _, c := range mesh.ControlPlanes {
		if c.Stamp != s.ID {
			continue
		}
		addURL("control plane "+c.Name, c.API)
		for _, service := range slices.Sorted(maps.Keys(c.Services)) {
			addURL(service+" of control plane "+c.Name, c.Services[service])
		}
	}
	for _, t := range mesh.Targets {
		if t.Stamp == s.ID {
			addURL("target "+t.Name, t.URL)
		}
	}
	return out
}

// placesOf returns the rules that let somebody get to host:port.
func placesOf(name, addr string) []egressValues {
	host, text, _ := cutPort(addr)
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil // checked by the topology, or not offered
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []egressValues{{Name: name, CIDR: netip.PrefixFrom(ip, ip.BitLen()).String(), Port: port}}
	}
	labels := strings.Split(host, ".")
	if len(labels) < 3 || labels[2] != "svc" {
		return []egressValues{{Name: name, Port: port}}
	}
	if labels[0] == "kubernetes" && labels[1] == "default" {
		// There are no pods behind it: it runs on machines, where 6443 is usual.
		return []egressValues{{Name: name, Port: port}, {Name: name, Port: 6443}}
	}
	return []egressValues{{Name: name, Namespace: labels[1]}}
}
