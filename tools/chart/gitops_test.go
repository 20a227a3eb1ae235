package chart

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What examples/outsystems uses of Flux and Argo CD, as their APIs name it. A key
// that is not here is a mistake, or has to be looked up and added.
type (
	ref struct {
		Kind      string `json:"kind"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Optional  bool   `json:"optional"`
	}
	fluxKustomization struct { // kustomize.toolkit.fluxcd.io/v1
		head
		Spec struct {
			DependsOn []ref           `json:"dependsOn"`
			Interval  metav1.Duration `json:"interval"`
			Timeout   metav1.Duration `json:"timeout"`
			Path      string          `json:"path"`
			Prune     bool            `json:"prune"`
			Wait      bool            `json:"wait"`
			SourceRef ref             `json:"sourceRef"`
		} `json:"spec"`
	}
	helmRelease struct { // helm.toolkit.fluxcd.io/v2
		head
		Spec struct {
			Interval         metav1.Duration `json:"interval"`
			ReleaseName      string          `json:"releaseName"`
			TargetNamespace  string          `json:"targetNamespace"`
			StorageNamespace string          `json:"storageNamespace"`
			KubeConfig       struct {
				SecretRef ref `json:"secretRef"`
			} `json:"kubeConfig"`
			ChartRef ref `json:"chartRef"`
			Install  struct {
				CreateNamespace bool `json:"createNamespace"`
			} `json:"install"`
			ValuesFrom []ref  `json:"valuesFrom"`
			Values     object `json:"values"`
		} `json:"spec"`
	}
	ociRepository struct { // source.toolkit.fluxcd.io/v1
		head
		Spec struct {
			Interval metav1.Duration `json:"interval"`
			URL      string          `json:"url"`
			Ref      struct {
				Semver string `json:"semver"`
			} `json:"ref"`
			LayerSelector struct {
				MediaType string `json:"mediaType"`
				Operation string `json:"operation"`
			} `json:"layerSelector"`
		} `json:"spec"`
	}
	applicationSet struct { // argoproj.io/v1alpha1
		head
		Spec struct {
			GoTemplate        bool     `json:"goTemplate"`
			GoTemplateOptions []string `json:"goTemplateOptions"`
			Generators        []struct {
				Git struct {
					RepoURL  string `json:"repoURL"`
					Revision string `json:"revision"`
					Files    []struct {
						Path string `json:"path"`
					} `json:"files"`
				} `json:"git"`
			} `json:"generators"`
			Strategy struct {
				Type        string `json:"type"`
				RollingSync struct {
					Steps []struct {
						MatchExpressions []struct {
							Key      string   `json:"key"`
							Operator string   `json:"operator"`
							Values   []string `json:"values"`
						} `json:"matchExpressions"`
						MaxUpdate any `json:"maxUpdate"`
					} `json:"steps"`
				} `json:"rollingSync"`
			} `json:"strategy"`
			Template struct {
				Metadata struct {
					Name   string            `json:"name"`
					Labels map[string]string `json:"labels"`
				} `json:"metadata"`
				Spec struct {
					Project     string `json:"project"`
					Destination struct {
						Name      string `json:"name"`
						Namespace string `json:"namespace"`
					} `json:"destination"`
					SyncPolicy struct {
						SyncOptions []string `json:"syncOptions"`
					} `json:"syncPolicy"`
					Sources []struct {
						RepoURL        string `json:"repoURL"`
						TargetRevision string `json:"targetRevision"`
						Ref            string `json:"ref"`
						Path           string `json:"path"`
						Chart          string `json:"chart"`
						Helm           *struct {
							ReleaseName             string   `json:"releaseName"`
							IgnoreMissingValueFiles bool     `json:"ignoreMissingValueFiles"`
							ValueFiles              []string `json:"valueFiles"`
						} `json:"helm"`
					} `json:"sources"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}
	head struct {
		metav1.TypeMeta `json:",inline"`

		Metadata metav1.ObjectMeta `json:"metadata"`
	}
)

// estate is what Flux is given, by name.
type estate struct {
	rings    []fluxKustomization // in order of the file
	releases map[string]helmRelease
	values   map[string]string // of ConfigMaps
	folder   map[string]string // of releases and ConfigMaps
}

func readEstate(t *testing.T, dir string) estate {
	t.Helper()
	e := estate{releases: map[string]helmRelease{}, values: map[string]string{}, folder: map[string]string{}}
	files, err := filepath.Glob(dir + "flux/*.yaml")
	require.NoError(t, err)
	more, err := filepath.Glob(dir + "flux/*/*.yaml")
	require.NoError(t, err)
	for _, file := range append(files, more...) {
		for doc := range strings.SplitSeq(string(read(t, file)), "\n---\n") {
			var h head
			require.NoError(t, yaml.Unmarshal([]byte(doc), &h), file)
			require.Equal(t, "flux-system", h.Metadata.Namespace, file)
			e.folder[h.Metadata.Name] = filepath.Base(filepath.Dir(file))
			switch h.APIVersion + " " + h.Kind {
			case "kustomize.toolkit.fluxcd.io/v1 Kustomization":
				var k fluxKustomization
				require.NoError(t, yaml.UnmarshalStrict([]byte(doc), &k), file)
				e.rings = append(e.rings, k)
			case "helm.toolkit.fluxcd.io/v2 HelmRelease":
				var r helmRelease
				require.NoError(t, yaml.UnmarshalStrict([]byte(doc), &r), file)
				e.releases[h.Metadata.Name] = r
			case "source.toolkit.fluxcd.io/v1 OCIRepository":
				require.NoError(t, yaml.UnmarshalStrict([]byte(doc), &ociRepository{}), file)
			case "v1 ConfigMap":
				var m corev1.ConfigMap
				require.NoError(t, yaml.UnmarshalStrict([]byte(doc), &m), file)
				e.values[m.Name] = m.Data["values.yaml"]
			default:
				require.Fail(t, "not known", "%s: %s %s", file, h.APIVersion, h.Kind)
			}
		}
	}
	return e
}

// TestFlux renders every release with the values that Flux puts together: those
// of ConfigMaps, which must be there or be optional, and over them its own.
func TestFlux(t *testing.T) {
	e := readEstate(t, "../../examples/outsystems/")
	before := []ref(nil)
	for _, k := range e.rings {
		require.Equal(t, before, k.Spec.DependsOn, "rings come one after the other")
		before = []ref{{Name: k.Metadata.Name}}
	}
	require.Len(t, e.rings, 4)
	stamps, err := filepath.Glob("../../examples/outsystems/stamps/*/stamp.yaml")
	require.NoError(t, err)
	require.Len(t, e.releases, len(stamps))
	for name, r := range e.releases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, r.Metadata.Labels["ring"], e.folder[name])
			args := []string{"template", r.Spec.ReleaseName, chartDir, "--namespace", r.Spec.TargetNamespace, "--kube-version", kubeVersion}
			dir := t.TempDir()
			for i, from := range r.Spec.ValuesFrom {
				text, ok := e.values[from.Name]
				require.True(t, ok || from.Optional, from.Name)
				if ok {
					file := filepath.Join(dir, string(rune('a'+i)))
					writeFile(t, file, text)
					args = append(args, "--values", file)
				}
			}
			own, err := yaml.Marshal(r.Spec.Values)
			require.NoError(t, err)
			writeFile(t, dir+"/z", string(own))
			out, stderr, err := helm(t, append(args, "--values", dir+"/z")...)
			require.NoError(t, err, stderr)
			fitTogether(t, decode(t, out))
		})
	}
}

// TestApplicationSet: Argo CD's is in order, and its steps are the rings.
func TestApplicationSet(t *testing.T) {
	const dir = "../../examples/outsystems/"
	var a applicationSet
	require.NoError(t, yaml.UnmarshalStrict(read(t, dir+"applicationset.yaml"), &a))
	require.Equal(t, "argoproj.io/v1alpha1 ApplicationSet", a.APIVersion+" "+a.Kind)
	var top struct {
		Rings []string `json:"rings"`
	}
	require.NoError(t, yaml.Unmarshal(read(t, dir+"topology.yaml"), &top))
	var steps []string
	for _, s := range a.Spec.Strategy.RollingSync.Steps {
		steps = append(steps, s.MatchExpressions[0].Values...)
	}
	require.Equal(t, top.Rings, steps)
}
