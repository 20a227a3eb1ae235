package chart

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
)

// cases returns the values files of the matrix, by name.
func cases(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/cases/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string]string{}
	for _, f := range files {
		out[strings.TrimSuffix(filepath.Base(f), ".yaml")] = f
	}
	return out
}

// flags returns the flags for a values file; the topology is given inline
// unless it names another.
func flags(t *testing.T, file string) []string {
	t.Helper()
	out := []string{"--kube-version", kubeVersion, "--values", file}
	if !bytes.Contains(read(t, file), []byte("existingConfigMap")) {
		out = append(out, "--set-file", "topology.inline=testdata/topology.yaml")
	}
	return out
}

// TestTemplates renders each case, compares it with what it was (UPDATE=1
// rewrites), and decodes every object strictly into the types of Kubernetes.
func TestTemplates(t *testing.T) {
	for name, file := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, err := helm(t, append([]string{"lint", "--strict", chartDir}, flags(t, file)...)...)
			require.NoError(t, err, stderr)
			out, stderr, err := helm(t, append([]string{"template", "test", chartDir, "--namespace", "ringway"}, flags(t, file)...)...)
			require.NoError(t, err, stderr)
			golden(t, name, out)
			fitTogether(t, decode(t, out))
		})
	}
}

// golden compares what is rendered. The topology is the user's own text.
func golden(t *testing.T, name, out string) {
	t.Helper()
	sameFile(t, "testdata/golden/"+name+".yaml", []byte(out))
	for i, line := range strings.Split(out, "\n") {
		require.NotContains(t, line, "<no value>", "line %d", i+1)
	}
}

// others are the kinds whose types are not in Kubernetes itself.
var others = regexp.MustCompile(`(?m)^kind: (ServiceMonitor|PodMonitor|PrometheusRule|TLSRoute|HTTPRoute)$`)

func decode(t *testing.T, out string) []runtime.Object {
	t.Helper()
	s := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	var all []runtime.Object
	seen := map[string]bool{}
	for doc := range strings.SplitSeq(strings.TrimPrefix(out, "---\n"), "\n---\n") {
		if others.MatchString(doc) {
			continue
		}
		o, _, err := s.Decode([]byte(doc), nil, nil)
		require.NoError(t, err, doc)
		m := o.(interface {
			GetName() string
			GetNamespace() string
		})
		id := fmt.Sprintf("%T %s/%s", o, m.GetNamespace(), m.GetName())
		require.False(t, seen[id], "%s is there twice", id)
		switch o.(type) {
		case *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding:
			require.Empty(t, m.GetNamespace(), id)
		default:
			require.NotEmpty(t, m.GetNamespace(), id)
		}
		seen[id] = true
		all = append(all, o)
	}
	return all
}

// fitTogether checks what an API server does not: that selectors choose the
// pods, ports have somebody behind them and mounts have volumes.
func fitTogether(t *testing.T, all []runtime.Object) {
	t.Helper()
	var set *appsv1.StatefulSet
	accounts, headless := map[string]bool{}, false
	for _, o := range all {
		switch o := o.(type) {
		case *appsv1.StatefulSet:
			require.Nil(t, set)
			set = o
		case *corev1.ServiceAccount:
			accounts[o.Name] = true
		}
	}
	require.NotNil(t, set)
	pod := set.Spec.Template
	require.True(t, labels.SelectorFromSet(set.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels)))
	require.True(t, accounts[pod.Spec.ServiceAccountName] || pod.Spec.ServiceAccountName == "default")
	ports := map[string]bool{}
	for _, p := range pod.Spec.Containers[0].Ports {
		require.False(t, ports[p.Name], p.Name)
		ports[p.Name] = true
	}
	for _, o := range all {
		s, ok := o.(*corev1.Service)
		if !ok || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		require.Equal(t, set.Namespace, s.Namespace, "a selector sees its own namespace only: %s", s.Name)
		require.True(t, labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)), s.Name)
		for _, p := range s.Spec.Ports {
			require.True(t, ports[p.TargetPort.StrVal], "service %s has port %s, which no container has", s.Name, p.TargetPort.StrVal)
		}
		headless = headless || s.Name == set.Spec.ServiceName && s.Spec.ClusterIP == "None"
	}
	require.True(t, headless)
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range set.Spec.VolumeClaimTemplates {
		volumes[c.Name] = true
	}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		require.True(t, volumes[m.Name], "%s is mounted, and there is no such volume", m.Name)
	}
	secure(t, pod.Spec)
}

// secure checks the restricted Pod Security Standard.
func secure(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	require.False(t, *pod.AutomountServiceAccountToken)
	for _, c := range pod.Containers {
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
	}
}

// TestPackage: what is packed is the chart and nothing else.
func TestPackage(t *testing.T) {
	dir := t.TempDir()
	out, stderr, err := helm(t, "package", chartDir, "--destination", dir)
	require.NoError(t, err, out+stderr)
	files, err := filepath.Glob(filepath.Join(dir, "ringway-*.tgz"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// TestOlderClusters: what an older Kubernetes does not know is left out, and one
// that is too old is refused.
func TestOlderClusters(t *testing.T) {
	for version, stops := range map[string]bool{"1.26.0": false, "1.29.9": false, "1.30.0": true, "1.34.1": true} {
		for name, file := range cases(t) {
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				out, stderr, err := helm(t, append([]string{"template", "test", chartDir, "--kube-version", version}, flags(t, file)[2:]...)...)
				require.NoError(t, err, stderr)
				all := decode(t, out)
				fitTogether(t, all)
				for _, o := range all {
					if set, ok := o.(*appsv1.StatefulSet); ok && name != "external" { // which has it off
						require.Equal(t, stops, set.Spec.Template.Spec.Containers[0].Lifecycle != nil)
					}
				}
			})
		}
	}
	_, stderr, err := helm(t, append([]string{"template", "test", chartDir, "--kube-version", "1.25.0"}, flags(t, cases(t)["leaf"])[2:]...)...)
	require.Error(t, err)
	require.Contains(t, stderr, "requires kubeVersion: >=1.26.0-0")
}
