package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Containers run by podman, with a store of their own. It needs root.
type containers struct {
	dir, image string
	env        []string
}

// startContainers loads the image that RINGWAY_IMAGE names, an archive.
func startContainers(t *testing.T) *containers {
	t.Helper()
	archive := os.Getenv("RINGWAY_IMAGE")
	if archive == "" {
		t.Skip("RINGWAY_IMAGE names no archive of the image: make e2e-image")
	}
	dir := t.TempDir()
	c := &containers{dir: dir}
	// What works where a container is the machine: no overlays, no limits to raise.
	writeFile(t, dir+"/storage.conf", fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", dir+"/graph", dir+"/run"))
	writeFile(t, dir+"/containers.conf", `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
oom_score_adj = 0
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
`)
	c.env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+dir+"/storage.conf", "CONTAINERS_CONF="+dir+"/containers.conf")
	out := c.podman(t, "load", "--input", archive)
	first, _, _ := strings.Cut(out, "\n") // of several names one is enough
	_, c.image, _ = strings.Cut(first, "Loaded image: ")
	require.NotEmpty(t, c.image, out)
	return c
}

func (c *containers) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "podman", args...)
	cmd.Env = c.env
	return cmd
}

func (c *containers) podman(t *testing.T, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := c.command(t.Context(), args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "podman %s: %s%s", strings.Join(args, " "), out, errs.String())
	return string(out)
}

// network makes a network that reaches no other.
func (c *containers) network(t *testing.T, name, subnet string) {
	t.Helper()
	c.podman(t, "network", "create", "--opt", "isolate=true", "--disable-dns", "--subnet", subnet, name)
	t.Cleanup(func() {
		_ = c.command(context.Background(), "network", "rm", "--force", name).Run() // it may be gone
	})
}

// play starts a pod of a rendered StatefulSet, in networks. podman knows neither
// those nor projected volumes: the pod is written out, and what is mounted lies
// in a folder for each volume, made of files. Nor is there DNS: peers are the
// addresses behind the headless Service.
func (c *containers) play(t *testing.T, rendered string, n int, files map[string]map[string][]byte, peers []string, networks ...string) string {
	t.Helper()
	set := decodeSet(t, rendered)
	name := fmt.Sprintf("%s-%d", set.Name, n)
	spec := set.Spec.Template.Spec
	spec.Volumes = nil
	for _, ip := range peers {
		spec.HostAliases = append(spec.HostAliases, corev1.HostAlias{
			IP: ip, Hostnames: []string{fmt.Sprintf("%s.%s.svc.cluster.local", set.Spec.ServiceName, set.Namespace)},
		})
	}
	for _, m := range spec.Containers[0].VolumeMounts {
		dir := filepath.Join(c.dir, name+"-"+m.Name)
		require.NoError(t, os.MkdirAll(dir, 0o750))
		for name, content := range files[m.Name] {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o440))
			require.NoError(t, os.Chown(filepath.Join(dir, name), 0, 65532))
		}
		require.NoError(t, os.Chown(dir, 0, 65532))
		if !m.ReadOnly {
			require.NoError(t, os.Chmod(dir, 0o770))
		}
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: m.Name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}})
	}
	spec.Containers[0].Image, spec.Containers[0].ImagePullPolicy = c.image, corev1.PullNever
	spec.Containers[0].Lifecycle, spec.Containers[0].StartupProbe = nil, nil // podman has none
	spec.Containers[0].LivenessProbe, spec.Containers[0].ReadinessProbe = nil, nil
	spec.Containers[0].Ports = nil // podman would publish them
	pod := corev1.Pod{Spec: spec}
	pod.APIVersion, pod.Kind, pod.Name = "v1", "Pod", name
	text, err := yaml.Marshal(pod)
	require.NoError(t, err)
	file := filepath.Join(c.dir, name+".yaml")
	writeFile(t, file, string(text))
	args := []string{"kube", "play"}
	for _, n := range networks {
		args = append(args, "--network", n)
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := c.command(context.Background(), "logs", "--tail", "30", pod.Name+"-ringway").CombinedOutput()
			t.Logf("%s", out)
		}
		_ = c.command(context.Background(), "pod", "rm", "--force", "--time", "5", pod.Name).Run() // it may be gone
	})
	c.podman(t, append(args, file)...)
	return pod.Name
}
