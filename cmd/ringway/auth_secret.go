package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/topology"
)

// A secretFlags says of which Kubernetes Secret a manifest is printed.
type secretFlags struct{ name, namespace, output string }

func (f *secretFlags) add(cmd *cobra.Command, name string) {
	cmd.Flags().StringVar(&f.name, "name", name, "name of the Secret")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "its namespace; that of kubectl if empty")
	outputFlag(cmd, &f.output, outputYAML, outputJSON)
}

// secretName is what Kubernetes takes for the name of a Secret.
var secretName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

func (f *secretFlags) check() error {
	switch {
	case !secretName.MatchString(f.name):
		return usageError{fmt.Errorf("--name %q is no name of a Secret", f.name)}
	case f.namespace != "" && !secretName.MatchString(f.namespace):
		return usageError{fmt.Errorf("--namespace %q is no name of a namespace", f.namespace)}
	}
	return nil
}

// A secretManifest is a Kubernetes Secret, of which data is written in base64.
type secretManifest struct {
	APIVersion string `json:"apiVersion" yaml:"apiVersion"`
	Kind       string `json:"kind" yaml:"kind"`
	Metadata   struct {
		Name      string            `json:"name" yaml:"name"`
		Namespace string            `json:"namespace,omitempty" yaml:"namespace,omitempty"`
		Labels    map[string]string `json:"labels" yaml:"labels"`
	} `json:"metadata" yaml:"metadata"`
	Type string            `json:"type" yaml:"type"`
	Data map[string][]byte `json:"data" yaml:"data"`
}

// print writes the manifest, for kubectl apply -f -.
func (f *secretFlags) print(w io.Writer, files map[string][]byte) error {
	s := secretManifest{APIVersion: "v1", Kind: "Secret", Type: "Opaque", Data: files}
	s.Metadata.Name, s.Metadata.Namespace = f.name, f.namespace
	s.Metadata.Labels = map[string]string{"app.kubernetes.io/part-of": "ringway"}
	return show(w, f.output, "", s, nil)
}

func newAuthSecretCommand() *cobra.Command {
	var f authFlags
	var secret secretFlags
	cmd := &cobra.Command{
		Use:   "secret --stamp NAME",
		Short: "Print a stamp's identity as a Kubernetes Secret",
		Long: `Print a stamp's identity as a Kubernetes Secret, for auth.existingSecret of the
chart. It is what 'ringway auth issue' writes into a folder, and lies on no disk on
its way into the cluster. Said again, it changes only what has to change.`,
		Example: `  ringway auth secret --stamp us-prod -n ringway | kubectl apply -f -`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.stamp == "" {
				return usageError{errors.New("--stamp is missing")}
			}
			if err := secret.check(); err != nil {
				return err
			}
			mesh, err := readMesh(f.topology)
			if err != nil {
				return err
			}
			id := topology.StampID(f.stamp)
			if mesh.Stamp(id) == nil {
				return usageError{fmt.Errorf("topology %s has no stamp %q", f.topology, f.stamp)}
			}
			s, err := keystore.Open(f.store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			folder, err := s.IssueFolder(mesh, id, time.Now())
			if err != nil {
				return err
			}
			return secret.print(cmd.OutOrStdout(), folder.Files())
		},
	}
	f.add(cmd, true)
	secret.add(cmd, "ringway-identity")
	return cmd
}

func newAuthTokensCommand() *cobra.Command {
	var f secretFlags
	var planes []string
	cmd := &cobra.Command{
		Use:   "tokens --plane NAME...",
		Short: "Print a Kubernetes Secret with a new token for each plane",
		Long: `Print a Kubernetes Secret with a new token for each plane, for rest.tokens of the
chart. A token is 128 random bits. It is kept nowhere: a plane reads it from the
Secret, too. Said again, all of them are new.`,
		Example: `  ringway auth tokens --plane helm-service --plane jmeter -n ringway | kubectl apply -f -
  kubectl -n ringway get secret plane-tokens -o jsonpath='{.data.jmeter}' | base64 -d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(planes) == 0 {
				return usageError{errors.New("--plane is missing")}
			}
			if err := f.check(); err != nil {
				return err
			}
			files := map[string][]byte{}
			for _, p := range planes {
				if !planeName.MatchString(p) {
					return usageError{fmt.Errorf("--plane %q is no name of a plane: it has letters, digits and -_. only", p)}
				}
				files[p] = []byte(strings.ToLower(rand.Text()))
			}
			return f.print(cmd.OutOrStdout(), files)
		},
	}
	cmd.Flags().StringSliceVar(&planes, "plane", nil, "name of a plane; may be repeated")
	f.add(cmd, "plane-tokens")
	return cmd
}

// planeName is what the HTTP face takes for the name of a plane.
var planeName = regexp.MustCompile(`^[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,252}$`)
