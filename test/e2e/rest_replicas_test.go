package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// TestRESTWithoutAReplica: a stamp that answers canaries while none of its
// gateways takes requests any more, as one that stops and finishes what it has,
// is told from one to which there is no way; by the replica that is active, which
// sends canaries, and by one that stands by, which does not.
func TestRESTWithoutAReplica(t *testing.T) {
	if beside(t) {
		return
	}
	begun, release := make(chan struct{}), make(chan struct{})
	up := upstream(t, "", func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			close(begun)
			<-release
		}
	})
	f := fed.New(t, strings.Replace(tripled, "routes:\n", fmt.Sprintf("targets: [{name: slow, stamp: wss, url: %q}]\nroutes:\n", up.URL), 1),
		func(o *gateway.Options) { o.StopGrace = 200 * time.Second })
	active := f.Active("tls")
	require.Eventually(t, func() bool { // it has heard from wss
		for _, p := range f.Replica("tls", active).Gateway().Status().Peers {
			if p.Stamp == "wss" {
				return !p.Last.IsZero()
			}
		}
		return false
	}, fed.Patience, 10*time.Millisecond)
	answered := make(chan int, 1)
	at := f.Replica("tls", active).RESTURL()
	go func() {
		res, err := http.Get(at + "/t/wss/slow/begun")
		if err != nil {
			answered <- 0
			return
		}
		_ = res.Body.Close()
		answered <- res.StatusCode
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- f.Stamp("wss").Stop() }()
	all := func(code int, reason string) {
		t.Helper()
		for i := range 3 {
			var res *http.Response
			var body string
			require.Eventually(t, func() bool {
				res, body = spoken(t, f.Replica("tls", i).RESTURL(), "GET /t/wss/slow/x HTTP/1.1\nHost: gw\nConnection: close\n\n")
				return res.StatusCode == code && res.Header.Get("Ringway-Reason") == reason
			}, fed.Patience, 20*time.Millisecond, "replica %d, the active one is %d: %v", i, active, &body)
			require.Equal(t, "5", res.Header.Get("Retry-After"))
			require.Contains(t, body, fmt.Sprintf(`{"code":%d,"message":"gateway of tls: `, code))
		}
	}
	all(521, "no-replica")
	close(release)
	require.Equal(t, http.StatusOK, <-answered, "what was under way is finished")
	require.NoError(t, <-stopped)
	all(http.StatusServiceUnavailable, "no-route")
}
