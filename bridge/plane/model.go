package plane

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the hash that Keptn uses for ids
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringway/ringway/topology"
)

// An Integration is a plane as Keptn's uniform API shows it (contract §4.2). The
// order of the keys is Keptn's.
type Integration struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Metadata      Metadata       `json:"metadata"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Metadata describes an Integration.
type Metadata struct {
	Hostname           string     `json:"hostname"`
	IntegrationVersion string     `json:"integrationversion"`
	DistributorVersion string     `json:"distributorversion"`
	Location           string     `json:"location"`
	Kubernetes         Kubernetes `json:"kubernetesmetadata"`
	LastSeen           time.Time  `json:"lastseen"`
}

// Kubernetes is where an integration runs.
type Kubernetes struct {
	Namespace  string `json:"namespace"`
	Pod        string `json:"podname"`
	Deployment string `json:"deploymentname"`
}

// A Subscription is one of an Integration.
type Subscription struct {
	ID     string `json:"id"`
	Event  string `json:"event"` // a type, or a pattern of NATS
	Filter Filter `json:"filter"`
}

// A Filter says which events a Subscription is about. An empty list is all.
type Filter struct {
	Projects []string `json:"projects"`
	Stages   []string `json:"stages"`
	Services []string `json:"services"`
}

// full returns f without null lists.
func (f Filter) full() Filter {
	for _, l := range []*[]string{&f.Projects, &f.Stages, &f.Services} {
		if *l == nil {
			*l = []string{}
		}
	}
	return f
}

// plain returns f with one name in each place. Keptn's clients join a list with commas
// and split it again, so one that holds but an empty text lets everything through.
func (f Filter) plain() Filter {
	for _, l := range []*[]string{&f.Projects, &f.Stages, &f.Services} {
		var names []string
		for _, n := range *l {
			names = append(names, strings.FieldsFunc(n, func(r rune) bool { return r == ',' })...)
		}
		*l = names
	}
	return f
}

// equal reports whether f and g let the same through, as lists.
func (f Filter) equal(g Filter) bool {
	return sameSet(f.Projects, g.Projects) && sameSet(f.Stages, g.Stages) && sameSet(f.Services, g.Services)
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// Matches reports whether f lets an event through. A field that the event lacks
// is matched by no name. Lists are joined and split at commas, as Keptn's are
// (contract §2.6).
func (f Filter) Matches(project, stage, service string) bool {
	one := func(names []string, name string) bool {
		joined := strings.Join(names, ",")
		return joined == "" || slices.Contains(strings.Split(joined, ","), name)
	}
	return one(f.Projects, project) && one(f.Stages, stage) && one(f.Services, service)
}

// takes reports whether the events of a subject are among those of s.
func (s Subscription) takes(subject string) bool {
	return topology.Pattern(s.Event).Match(topology.Subject(subject))
}

// idOf returns the id that Keptn makes for an integration it has not seen.
func idOf(name, namespace, hostname string) string {
	sum := sha1.Sum([]byte(name + "-" + namespace + "-" + hostname)) //nolint:gosec // see import
	return hex.EncodeToString(sum[:])
}

// newUUID returns a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// encode returns JSON as Keptn writes it: without the escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
