package keptn

import (
	"crypto/sha1" //nolint:gosec // the hash that Keptn uses for ids
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Filter says which events a subscription is about. An empty list is all. A
// nil one is null on the wire.
type Filter struct {
	Projects []string `json:"projects"`
	Stages   []string `json:"stages"`
	Services []string `json:"services"`
}

// A Subscription is one of an Integration.
type Subscription struct {
	ID     string `json:"id"`
	Event  string `json:"event"`
	Filter Filter `json:"filter"`
}

// Kubernetes is where an integration runs.
type Kubernetes struct {
	Namespace  string `json:"namespace"`
	Pod        string `json:"podname"`
	Deployment string `json:"deploymentname"`
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

// An Integration is what a program registers as.
type Integration struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Metadata      Metadata       `json:"metadata"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// clone returns a copy that shares no list of subscriptions.
func (i Integration) clone() Integration {
	i.Subscriptions = slices.Clone(i.Subscriptions)
	return i
}

// integrationID returns the id that Keptn gives to an integration it has not
// seen.
func integrationID(i Integration) (string, error) {
	parts := []string{i.Name, i.Metadata.Kubernetes.Namespace, i.Metadata.Hostname}
	if slices.Contains(parts, "") {
		return "", errors.New("incomplete integration ID. At least 'name','namespace' and 'nodename' must be set")
	}
	sum := sha1.Sum([]byte(strings.Join(parts, "-"))) //nolint:gosec // see import
	return hex.EncodeToString(sum[:]), nil
}

// errNotFound reports an integration or a subscription that is not there.
var errNotFound = errors.New("uniform integration not found")

// A uniform is the store of integrations, with the rules of Keptn's for what
// is the same one. It is safe for concurrent use.
type uniform struct {
	ttl time.Duration // after which an integration not seen is forgotten
	now func() time.Time

	mu  sync.Mutex // guards all
	all []Integration
}

// expire forgets who was not seen for too long. mu is held.
func (u *uniform) expire() {
	u.all = slices.DeleteFunc(u.all, func(i Integration) bool { return u.now().Sub(i.Metadata.LastSeen) > u.ttl })
}

// find returns the place of an integration. mu is held.
func (u *uniform) find(id string) *Integration {
	u.expire()
	i := slices.IndexFunc(u.all, func(i Integration) bool { return i.ID == id })
	if i < 0 {
		return nil
	}
	return &u.all[i]
}

// register stores an integration, or takes it for one that is there: name and
// namespace decide, where an empty one means any. It reports which of the two.
func (u *uniform) register(in Integration) (id string, created bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.expire()
	var same []Integration
	for _, i := range u.all {
		if (in.Name == "" || i.Name == in.Name) &&
			(in.Metadata.Kubernetes.Namespace == "" || i.Metadata.Kubernetes.Namespace == in.Metadata.Kubernetes.Namespace) {
			same = append(same, i)
		}
	}
	if len(same) > 0 {
		return u.merge(in, same), false, nil
	}
	id, err = integrationID(in)
	if err != nil {
		return "", false, err
	}
	in = in.clone()
	in.ID, in.Metadata.LastSeen = id, u.now().UTC()
	for i := range in.Subscriptions {
		in.Subscriptions[i].ID = newID()
	}
	u.all = append(u.all, in)
	return id, true, nil
}

// merge makes one of those that a registration is about: the one seen last,
// with the subscriptions of all. Those of the registration count only if there
// are none, and get no id then. mu is held.
func (u *uniform) merge(in Integration, same []Integration) string {
	slices.SortStableFunc(same, func(a, b Integration) int { return b.Metadata.LastSeen.Compare(a.Metadata.LastSeen) })
	keep := same[0].clone()
	for _, other := range same[1:] {
		for _, s := range other.Subscriptions {
			if !slices.ContainsFunc(keep.Subscriptions, func(k Subscription) bool { return k.ID == s.ID }) {
				keep.Subscriptions = append(keep.Subscriptions, s)
			}
		}
	}
	if len(keep.Subscriptions) == 0 {
		keep.Subscriptions = slices.Clone(in.Subscriptions)
		for i := range keep.Subscriptions {
			keep.Subscriptions[i].ID = ""
		}
	}
	keep.Metadata.IntegrationVersion = in.Metadata.IntegrationVersion
	keep.Metadata.DistributorVersion = in.Metadata.DistributorVersion
	keep.Metadata.LastSeen = u.now().UTC()
	u.all = slices.DeleteFunc(u.all, func(i Integration) bool {
		return slices.ContainsFunc(same, func(s Integration) bool { return s.ID == i.ID })
	})
	u.all = append(u.all, keep)
	return keep.ID
}

// ping notes that an integration is alive and returns it.
func (u *uniform) ping(id string) (Integration, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	i := u.find(id)
	if i == nil {
		return Integration{}, errNotFound
	}
	i.Metadata.LastSeen = u.now().UTC()
	return i.clone(), nil
}

// list returns the integrations that ok accepts.
func (u *uniform) list(ok func(Integration) bool) []Integration {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.expire()
	out := []Integration{}
	for _, i := range u.all {
		if ok(i) {
			out = append(out, i.clone())
		}
	}
	return out
}

// remove forgets an integration, if it is there.
func (u *uniform) remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = slices.DeleteFunc(u.all, func(i Integration) bool { return i.ID == id })
}

// edit changes the subscriptions of an integration.
func (u *uniform) edit(id string, f func([]Subscription) []Subscription) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	i := u.find(id)
	if i == nil {
		return errNotFound
	}
	i.Subscriptions = f(slices.Clone(i.Subscriptions))
	return nil
}

// put returns an edit that stores s in the place of the one with its id.
func put(s Subscription) func([]Subscription) []Subscription {
	return func(all []Subscription) []Subscription {
		if i := slices.IndexFunc(all, func(o Subscription) bool { return o.ID == s.ID }); i >= 0 {
			all[i] = s
			return all
		}
		return append(all, s)
	}
}

// ghost is what a deletion of a subscription of nobody leaves behind.
func (u *uniform) ghost(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, Integration{ID: id, Metadata: Metadata{LastSeen: u.now().UTC()}, Subscriptions: []Subscription{}})
}

// matches reports whether a filter lets data through. A field that data lacks
// is matched by no name.
func (f Filter) matches(d Data) bool {
	one := func(names []string, name string) bool {
		joined := strings.Join(names, ",")
		return joined == "" || slices.Contains(strings.Split(joined, ","), name)
	}
	return one(f.Projects, d.Project) && one(f.Stages, d.Stage) && one(f.Services, d.Service)
}
