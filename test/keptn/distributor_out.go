package keptn

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// serve starts what the service posts its events and calls to.
func (d *Distributor) serve(ctx context.Context, wg *sync.WaitGroup) (func(), error) {
	if d.listener == nil {
		var err error
		if d.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /event", d.onEvent)
	mux.HandleFunc("/", d.proxy)
	s := httpServer(mux)
	wg.Go(func() { _ = s.Serve(d.listener) }) // ends with Close
	return func() { shut(s) }, nil
}

// onEvent forwards an event of the service.
func (d *Distributor) onEvent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.Or(d.MaxPayload, 64<<10)))
	if err == nil {
		err = d.forward(r.Context(), body)
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (d *Distributor) forward(ctx context.Context, body []byte) error {
	ce := cloudevents.New()
	if err := json.Unmarshal(body, &ce); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	e, err := ParseEvent(body)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if l, ok := failure(e, d.id); ok {
		d.logs = append(d.logs, l)
	}
	d.mu.Unlock()
	if e.TypeName() == typeLogError {
		return nil
	}
	if d.remote() {
		e.ContentType = cmp.Or(e.ContentType, ce.DataContentType())
		return d.api.send(ctx, e)
	}
	out, err := ce.MarshalJSON()
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	nc, err := d.publisher(ce.Type())
	if err == nil {
		_ = nc.Publish(ce.Type(), out) // nobody waits for it
	}
	return nil
}

// publisher returns the connection for a type of events: each has its own.
func (d *Distributor) publisher(typ string) (*nats.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if nc := d.publishers[typ]; nc != nil {
		return nc, nil
	}
	nc, err := nats.Connect(d.PubSubURL, nats.MaxReconnects(-1), nats.ReconnectWait(d.of(2*time.Second)))
	if err == nil {
		d.publishers[typ] = nc
	}
	return nc, err
}

// upstream returns where a call of the service goes to.
func (d *Distributor) upstream(u *url.URL) (string, bool) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	host := map[string]string{datastoreName: datastoreName, "resource-service": "resource-service", "controlPlane": shipyardName}[first]
	if host == "" {
		return "", false
	}
	to := "http://" + host + ":8080/" + rest
	if d.remote() {
		if before, name, ok := strings.Cut(rest, "/resource/"); ok {
			rest = before + "/resource/" + url.QueryEscape(name)
		}
		to = d.APIEndpoint + "/" + first + "/" + rest
	}
	if u.RawQuery != "" {
		to += "?" + u.RawQuery
	}
	return to, true
}

// proxy passes a call on, its body without a length. One that is too long
// breaks off.
func (d *Distributor) proxy(w http.ResponseWriter, r *http.Request) {
	to, ok := d.upstream(r.URL)
	if !ok {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var body io.Reader
	if r.ContentLength != 0 {
		body = http.MaxBytesReader(w, r.Body, cmp.Or(d.MaxPayload, 64<<10))
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, to, body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	req.Header = r.Header.Clone()
	if d.APIToken != "" {
		req.Header.Set("x-token", d.APIToken)
	}
	resp, err := d.api.http.Do(req)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	for k, v := range resp.Header {
		w.Header().Set(k, v[len(v)-1])
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // one of the two has gone
	_ = resp.Body.Close()        // nothing is left in it
}
