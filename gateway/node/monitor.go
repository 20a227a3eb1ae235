package node

import (
	"encoding/json"
	"net/http"

	"github.com/nats-io/nats-server/v2/server"
)

// Monitor returns the read-only part of NATS monitoring that the stamp shows,
// at the usual paths: / and /healthz (Keptn's pods probe them), /varz, /jsz,
// /leafz and /gatewayz. Query strings are ignored, but for what /healthz knows:
// they ask for subscriptions, users and tokens. It answers 503 while the
// servers do not run. It is always the same handler.
func (n *Node) Monitor() http.Handler { return n.monitor }

func (n *Node) newMonitor() http.Handler {
	mux := http.NewServeMux()
	show := func(path string, f func(local, link *engine) (any, error)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			n.mu.RLock()
			local, link := n.local, n.link
			n.mu.RUnlock()
			if local == nil {
				http.Error(w, ErrNotRunning.Error(), http.StatusServiceUnavailable)
				return
			}
			if link == nil {
				link = local
			}
			v, err := f(local, link)
			writeJSON(w, v, err)
		})
	}
	show("/{$}", func(local, _ *engine) (any, error) {
		return map[string]any{
			"server_name": local.Name(), "version": server.VERSION,
			"endpoints": []string{"/healthz", "/varz", "/jsz", "/leafz", "/gatewayz"},
		}, nil
	})
	show("/varz", func(local, _ *engine) (any, error) { return limitedVarz(local) })
	show("/jsz", func(local, _ *engine) (any, error) { return local.Jsz(nil) })
	show("/leafz", func(_, link *engine) (any, error) { return link.Leafz(nil) })
	show("/gatewayz", func(_, link *engine) (any, error) { return link.Gatewayz(nil) })
	mux.HandleFunc("GET /healthz", n.healthz)
	return mux
}

// healthz answers for the local server: the stamp's clients depend on no link.
func (n *Node) healthz(w http.ResponseWriter, r *http.Request) {
	e := n.running()
	if e == nil {
		http.Error(w, ErrNotRunning.Error(), http.StatusServiceUnavailable)
		return
	}
	e.HandleHealthz(w, r)
}

// limitedVarz leaves out who the operator is, and whom the server dials.
func limitedVarz(e *engine) (*server.Varz, error) {
	v, err := e.Varz(nil)
	if err != nil {
		return nil, err
	}
	v.TrustedOperatorsJwt, v.TrustedOperatorsClaim, v.SystemAccount = nil, nil, ""
	v.LeafNode.Remotes = nil
	return v, nil
}

func writeJSON(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}
