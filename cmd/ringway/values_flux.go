package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringway/ringway/internal/yamlfile"
	"github.com/ringway/ringway/topology"
)

// Where Flux finds things: names that the hand-written part of examples/outsystems
// gives them.
const (
	fluxNamespace = "flux-system"
	fluxSource    = "federation" // GitRepository
	fluxChart     = "ringway"    // OCIRepository
	fluxRoot      = "./flux/"
)

type fluxObject struct {
	APIVersion string            `yaml:"apiVersion"`
	Kind       string            `yaml:"kind"`
	Metadata   fluxMeta          `yaml:"metadata"`
	Spec       any               `yaml:"spec,omitempty"`
	Data       map[string]string `yaml:"data,omitempty"`
}

type fluxMeta struct {
	Name      string            `yaml:"name"`
	Namespace string            `yaml:"namespace"`
	Labels    map[string]string `yaml:"labels,omitempty"`
}

type fluxRef struct {
	Kind      string `yaml:"kind,omitempty"`
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace,omitempty"`
	Optional  bool   `yaml:"optional,omitempty"`
}

// fluxRing is a Kustomization of Flux: a ring, after the one before it.
type fluxRing struct {
	DependsOn []fluxRef `yaml:"dependsOn,omitempty"`
	Interval  string    `yaml:"interval"`
	Timeout   string    `yaml:"timeout"`
	Path      string    `yaml:"path"`
	Prune     bool      `yaml:"prune"`
	Wait      bool      `yaml:"wait"`
	SourceRef fluxRef   `yaml:"sourceRef"`
}

// fluxRelease is a HelmRelease of Flux: the gateway of a stamp, in its cluster.
type fluxRelease struct {
	Interval         string         `yaml:"interval"`
	ReleaseName      string         `yaml:"releaseName"`
	TargetNamespace  string         `yaml:"targetNamespace"`
	StorageNamespace string         `yaml:"storageNamespace"`
	KubeConfig       map[string]any `yaml:"kubeConfig"`
	ChartRef         fluxRef        `yaml:"chartRef"`
	Install          map[string]any `yaml:"install"`
	ValuesFrom       []fluxRef      `yaml:"valuesFrom"`
	Values           chartValues    `yaml:"values"`
}

// writeFlux writes what Flux rolls the federation out by, from one cluster to all:
// a Kustomization for each ring, in order, and in the ring's folder its topology
// and a HelmRelease for each stamp.
func writeFlux(mesh *topology.Mesh, document []byte, dir string) error {
	var rings []any
	before := ""
	for _, ring := range mesh.Rings {
		name := "ringway-" + strings.ToLower(string(ring))
		r := fluxRing{Interval: "10m", Timeout: "15m", Path: fluxRoot + string(ring), Prune: true, Wait: true, SourceRef: fluxRef{Kind: "GitRepository", Name: fluxSource}}
		if before != "" {
			r.DependsOn = []fluxRef{{Name: before}}
		}
		before = name
		rings = append(rings, fluxObject{
			APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Metadata: fluxMeta{Name: name, Namespace: fluxNamespace}, Spec: r,
		})
		if err := writeFluxRing(mesh, ring, document, filepath.Join(dir, string(ring))); err != nil {
			return err
		}
	}
	return writeYAMLs(filepath.Join(dir, "rings.yaml"), rings...)
}

func writeFluxRing(mesh *topology.Mesh, ring topology.Ring, document []byte, dir string) error {
	inline, err := yamlfile.Marshal(map[string]any{"topology": map[string]string{"inline": string(document)}})
	if err != nil {
		return fmt.Errorf("write topology of ring %s: %w", ring, err)
	}
	config := "ringway-topology-" + strings.ToLower(string(ring))
	labels := map[string]string{"reconcile.fluxcd.io/watch": "Enabled"}
	err = writeYAMLs(filepath.Join(dir, "topology.yaml"), fluxObject{
		APIVersion: "v1", Kind: "ConfigMap", Metadata: fluxMeta{Name: config, Namespace: fluxNamespace, Labels: labels},
		Data: map[string]string{"values.yaml": string(inline)},
	})
	for _, s := range mesh.Stamps {
		if s.Ring != ring || err != nil {
			continue
		}
		name := "ringway-" + string(s.ID)
		err = writeYAMLs(filepath.Join(dir, string(s.ID)+".yaml"), fluxObject{
			APIVersion: "helm.toolkit.fluxcd.io/v2", Kind: "HelmRelease",
			Metadata: fluxMeta{Name: name, Namespace: fluxNamespace, Labels: map[string]string{"geo": string(s.Geo), "ring": string(s.Ring)}},
			Spec: fluxRelease{
				Interval: "10m", ReleaseName: "ringway", TargetNamespace: "ringway", StorageNamespace: "ringway",
				KubeConfig: map[string]any{"secretRef": fluxRef{Name: string(s.ID) + "-kubeconfig"}},
				ChartRef:   fluxRef{Kind: "OCIRepository", Name: fluxChart},
				Install:    map[string]any{"createNamespace": true},
				ValuesFrom: []fluxRef{{Kind: "ConfigMap", Name: config}, {Kind: "ConfigMap", Name: "ringway-common", Optional: true}, {Kind: "ConfigMap", Name: name, Optional: true}},
				Values:     valuesOf(mesh, s),
			},
		})
	}
	return err
}

// writeYAMLs writes objects into a file, and makes its folder.
func writeYAMLs(file string, objects ...any) error {
	text := "# Made by `ringway topology values --flux`.\n"
	for i, o := range objects {
		b, err := yamlfile.Marshal(o)
		if err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		if i > 0 {
			text += "---\n"
		}
		text += string(b)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // nothing secret
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // nothing secret
}

// writeFluxOf is writeFlux of a topology file.
func writeFluxOf(mesh *topology.Mesh, file, dir string) error {
	document, err := os.ReadFile(file) //nolint:gosec // named by the user
	if err != nil {
		return fmt.Errorf("read topology: %w", err)
	}
	return writeFlux(mesh, document, dir)
}
