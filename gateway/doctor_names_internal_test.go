package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

// TestNamesThatWereTaken: a gateway under the name of Keptn's API is found out,
// in both forms of the API; Keptn itself, and nobody, are not.
func TestNamesThatWereTaken(t *testing.T) {
	f, err := face.New(face.Config{
		Me: "me", Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Sources: func() []netip.Prefix { return nil },
		Control: func(http.ResponseWriter, *http.Request, call.Call) {},
		Targets: func(http.ResponseWriter, *http.Request, topology.StampID, string, string, []string) {},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		f.Wait()
	})
	keptn := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(keptn.Close)
	for api, found := range map[string]bool{
		fmt.Sprintf("{url: %q}", f.URL()+"/api"):                                                     true,
		fmt.Sprintf("{services: {shipyard-controller: %q}}", f.URL()):                                true,
		fmt.Sprintf("{services: {shipyard-controller: %q, resource-service: %q}}", f.URL(), f.URL()): true,
		fmt.Sprintf("{url: %q}", keptn.URL+"/api"):                                                   false,
		`{url: "http://127.0.0.1:1/api"}`:                                                            false,
		`{url: "https://keptn.example/api"}`:                                                         false,
	} {
		v, ok := meshOf(t, strings.Replace(twoHubs, "controlPlanes: [{name: k, stamp: one", "controlPlanes: [{name: k, stamp: one, api: "+api, 1)).View("one")
		require.True(t, ok)
		e := &exam{g: &Gateway{}, f: &inForce{view: v}, s: Status{Stamp: "one"}}
		e.names(t.Context())
		if !found {
			for _, x := range e.found {
				require.Equal(t, LevelOK, x.Level, api)
			}
			continue
		}
		require.Len(t, e.found, 1, api)
		require.Equal(t, CodeTaken, e.found[0].Code)
		require.Contains(t, e.found[0].Detail, "is answered by the gateway of me (side: one)")
	}
}
