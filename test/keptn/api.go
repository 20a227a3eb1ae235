package keptn

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// An API is api-service: POST /v1/event, which publishes what it is given with
// a new id and time, and so twice what it is given twice.
type API struct {
	NATS  string // NATS_URL
	Token string // x-token that a caller must have

	nc *nats.Conn
}

// Run connects; Handler serves from ready on.
func (a *API) Run(ctx context.Context, ready func()) error {
	nc, err := nats.Connect(a.NATS, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		return &Exit{"api-service", 1, "no NATS", err}
	}
	defer nc.Close()
	a.nc = nc
	ready()
	<-ctx.Done()
	return nil
}

// Handler returns the HTTP API.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/event", a.onEvent)
	mux.HandleFunc("POST /v1/auth", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/metadata", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"automaticprovisioning": false, "bridgeversion": "N/A", "keptnlabel": "keptn", "keptnversion": "1.4.5",
			"namespace": "keptn", "shipyardversion": "0.2.0",
		})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch token := r.Header.Get("x-token"); {
		case token == "":
			refuse(w, http.StatusUnauthorized, "unauthenticated for invalid credentials")
		case !a.allowed(token):
			refuse(w, http.StatusUnauthorized, "incorrect api key auth")
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

func (a *API) allowed(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(a.Token)) == 1
}

func (a *API) onEvent(w http.ResponseWriter, r *http.Request) {
	var e Event
	if !read(w, r, &e) {
		return
	}
	for name, missing := range map[string]bool{
		"data": len(e.Data) == 0 || string(e.Data) == "null", "source": e.Source == nil, "type": e.Type == nil,
	} {
		if missing {
			answer(w, http.StatusUnprocessableEntity, apiError{602, name + " in body is required"})
			return
		}
	}
	e.ID, e.Time, e.ContentType, e.SpecVersion, e.KeptnSpec = newID(), time.Now().UTC(), jsonType, "1.0", ""
	if *e.Source == "" {
		*e.Source = "https://github.com/keptn/keptn/api"
	}
	e.Context = keptnContext(e.Context)
	if err := a.nc.Publish(*e.Type, encode(e)); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]string{"keptnContext": e.Context})
}

// keptnContext returns the shkeptncontext that an event gets: its own if that
// is a UUID, else one made of its first bytes.
func keptnContext(have string) string {
	if have == "" {
		return newID()
	}
	if len(have) == 36 && strings.Count(have, "-") == 4 {
		return have
	}
	b := [16]byte([]byte(fmt.Sprintf("%-16s", have))[:16])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return uuid(b)
}

// public is api-gateway-nginx: the paths of the public API, who may call them,
// and what is denied.
func public(api *API, shipyard, datastore http.Handler) http.Handler {
	protected := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !api.allowed(r.Header.Get("x-token")) {
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"code":401, "message":"unauthenticated or invalid credentials"}`)) // the client has gone
				return
			}
			if denied(r) {
				http.Error(w, "403 Forbidden", http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", api.Handler()))
	mux.Handle("/api/controlPlane/", protected(http.StripPrefix("/api/controlPlane", shipyard)))
	mux.Handle("/api/mongodb-datastore/", protected(http.StripPrefix("/api/mongodb-datastore", datastore)))
	return mux
}

// denied reports what nginx does not let through.
func denied(r *http.Request) bool {
	switch r.URL.Path {
	case "/api/controlPlane/v1/log":
		return r.Method == http.MethodDelete
	case "/api/mongodb-datastore/event":
		return r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions
	case "/api/mongodb-datastore/health":
		return true
	}
	return false
}

// Trigger returns the body of an event that starts a sequence in a stage, as a
// script posts it.
func Trigger(project, stage, service, sequence string, labels map[string]string) []byte {
	source, typ := "ops-script", prefix+stage+"."+sequence+"."+kindTrig
	data := encode(Data{Project: project, Stage: stage, Service: service, Labels: labels})
	return encode(struct {
		Type        string          `json:"type"`
		Source      string          `json:"source"`
		SpecVersion string          `json:"specversion"`
		Data        json.RawMessage `json:"data"`
	}{typ, source, "1.0", data})
}
