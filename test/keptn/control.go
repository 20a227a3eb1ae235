package keptn

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Token is the x-token of a control plane.
const Token = "my-secret-token"

// A ControlPlane is Keptn's control plane: shipyard-controller, api-service,
// mongodb-datastore and api-gateway-nginx on one NATS and one Store.
type ControlPlane struct {
	NATS  string // NATS_URL
	Store *Store

	// Internal and Public are where HTTP is served: the names in the cluster,
	// told apart by Host, and what nginx shows. "" is a free port, and Run sets
	// the address.
	Internal, Public string
}

// httpServer is what all HTTP servers of this package have.
func httpServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
}

// shut ends a server and waits for its handlers.
func shut(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close() // whoever is still connected
	}
}

// Run runs all programs, until one of them exits.
func (c *ControlPlane) Run(ctx context.Context, ready func()) error {
	shipyard := &Shipyard{NATS: c.NATS, Store: c.Store}
	api := &API{NATS: c.NATS, Token: Token}
	datastore := &Datastore{NATS: c.NATS, Store: c.Store}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg, waiting sync.WaitGroup
	errs := make(chan error, 3)
	for _, p := range []Program{shipyard, api, datastore} {
		waiting.Add(1)
		up := sync.OnceFunc(waiting.Done)
		wg.Go(func() {
			defer up()
			if err := p.Run(ctx, up); err != nil {
				errs <- err
				cancel()
			}
		})
	}
	defer wg.Wait()
	waiting.Wait()
	if len(errs) > 0 {
		return <-errs
	}
	closers, err := c.serve(ctx, &wg, shipyard.Handler(), api, datastore.Handler())
	defer func() {
		for _, s := range closers {
			shut(s)
		}
	}()
	if err != nil {
		cancel()
		return &Exit{"control plane", 1, "no listener", err}
	}
	ready()
	<-ctx.Done()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// serve starts the two HTTP servers.
func (c *ControlPlane) serve(ctx context.Context, wg *sync.WaitGroup, shipyard http.Handler, api *API, datastore http.Handler) ([]*http.Server, error) {
	internal := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		switch cmp.Or(host, r.Host) {
		case "api-service":
			api.Handler().ServeHTTP(w, r)
		case datastoreName:
			datastore.ServeHTTP(w, r)
		default:
			shipyard.ServeHTTP(w, r)
		}
	})
	var out []*http.Server
	for addr, h := range map[*string]http.Handler{&c.Internal: internal, &c.Public: public(api, shipyard, datastore)} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmp.Or(*addr, "127.0.0.1:0"))
		if err != nil {
			return out, err
		}
		*addr = l.Addr().String()
		s := httpServer(h)
		out = append(out, s)
		wg.Go(func() { _ = s.Serve(l) }) // ends with Close
	}
	return out, nil
}

// Endpoint returns what KEPTN_API_ENDPOINT is for this control plane.
func (c *ControlPlane) Endpoint() string { return "http://" + c.Public + "/api" }

// Post posts an event to api-service and returns the shkeptncontext.
func (c *ControlPlane) Post(t testing.TB, body []byte) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Endpoint()+"/v1/event", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("x-token", Token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, string(text))
	var out struct{ KeptnContext string }
	require.NoError(t, json.Unmarshal(text, &out))
	return out.KeptnContext
}

// Ended waits until no sequence of a context is under way and the last stage
// was reached or one has failed. It returns them.
func (c *ControlPlane) Ended(t testing.TB, shkeptncontext string) []Sequence {
	t.Helper()
	var out []Sequence
	require.Eventually(t, func() bool {
		out = nil
		for _, s := range c.Store.Sequences() {
			if s.Context == shkeptncontext {
				out = append(out, s)
			}
		}
		for _, s := range out {
			if s.State == Queued || s.State == Running {
				return false
			}
		}
		return len(out) > 0
	}, patience, 2*time.Millisecond, "%s", lazy(func() string { return fmt.Sprint(out) }))
	return out
}

// lazy is a message that is made when it is wanted.
type lazy func() string

func (l lazy) String() string { return l() }
