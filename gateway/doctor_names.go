package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

// notKeptn is a Host that no service of Keptn has: what answers it is a gateway's
// own face, or somebody who does not know it.
const notKeptn = "ringway.invalid"

// namesLimit is how long that may take: what is looked at is nearby.
const namesLimit = time.Second

// names looks whether the APIs of this stamp's control planes are what the
// topology takes them for, and not a gateway under a name that was taken from
// them. Only plain HTTP is asked, as aliases are.
func (e *exam) names(ctx context.Context) {
	const check = "the API of its control plane is not a gateway"
	ctx, cancel := context.WithTimeout(ctx, namesLimit)
	defer cancel()
	urls := apis(e.f.view)
	taken := make([]string, len(urls))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var wg sync.WaitGroup
	for i, u := range urls {
		wg.Go(func() { taken[i] = gatewayAt(ctx, client, u) })
	}
	wg.Wait()
	n := len(e.found)
	for i, u := range urls {
		if taken[i] != "" {
			e.fail(catPorts, check, CodeTaken, "%s is answered by the gateway of %s (side: %s)", hostPort(u), taken[i], e.s.Stamp)
		}
	}
	if len(urls) > 0 {
		e.note(n, catPorts, check)
	}
}

// review looks whether the cluster's API answers whose tokens are that pods show.
func (e *exam) review(ctx context.Context) {
	const check = "the cluster's API says whose tokens are"
	if e.g.face == nil || e.g.opts.Rest.TokenReview == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, namesLimit)
	defer cancel()
	if err := e.g.face.TryReview(ctx); err != nil {
		e.fail(catRights, check, CodeReview, "%v (side: %s)", err, e.s.Stamp)
		return
	}
	e.ok(catRights, check)
}

// apis returns where the APIs of the control planes of v's stamp are, each
// address once.
func apis(v *topology.View) []*url.URL {
	var out []*url.URL
	for _, c := range v.ControlPlanes {
		if c.Stamp != v.Me.ID {
			continue
		}
		all := []*url.URL{c.API}
		for _, name := range topology.KeptnServices {
			all = append(all, c.Services[name])
		}
		for _, u := range all {
			if u != nil && u.Scheme == "http" && !slices.ContainsFunc(out, func(o *url.URL) bool { return hostPort(o) == hostPort(u) }) {
				out = append(out, u)
			}
		}
	}
	return out
}

// gatewayAt returns whose gateway answers at u; empty if it is none, or nothing
// answers.
func gatewayAt(ctx context.Context, client *http.Client, u *url.URL) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/nginx-health", hostPort(u)), nil)
	if err != nil {
		return ""
	}
	req.Host = notKeptn
	res, err := client.Do(req)
	if err != nil {
		return "" // that nothing answers is another finding
	}
	_ = res.Body.Close()
	return res.Header.Get(face.HeaderStamp)
}
