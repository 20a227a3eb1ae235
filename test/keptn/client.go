package keptn

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Hosts says where the names of a cluster lead, as host:port; a name that is
// missing leads where the resolver says.
type Hosts map[string]string

// InCluster returns the hosts for a control plane that is served at addr.
func InCluster(addr string) Hosts {
	h := Hosts{}
	for _, name := range []string{shipyardName, "resource-service", datastoreName, "api-service", "secret-service"} {
		h[name+":8080"] = addr
	}
	return h
}

// A client makes the calls to Keptn's API that all integrations make.
type client struct {
	endpoint, token string // KEPTN_API_ENDPOINT; "" is in the cluster
	http            *http.Client
}

// newClient returns a client, whose idle connections are to be closed.
func newClient(endpoint, token string, hosts Hosts) *client {
	var d net.Dialer
	return &client{endpoint: endpoint, token: token, http: &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return d.DialContext(ctx, network, cmp.Or(hosts[addr], addr))
		}},
	}}
}

// close lets go of connections.
func (c *client) close() { c.http.CloseIdleConnections() }

// shipyard returns the address of shipyard-controller's API.
func (c *client) shipyard() string {
	if c.endpoint == "" {
		return "http://" + shipyardName + ":8080"
	}
	return c.endpoint + "/controlPlane"
}

// do makes a call and reads its answer into out, unless that is nil.
func (c *client) do(ctx context.Context, method, to string, in, out any) error {
	var body []byte
	if in != nil {
		body = encode(in)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", to, err)
	}
	req.Header.Set("Content-Type", jsonType)
	if c.token != "" {
		req.Header.Set("x-token", c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", to, err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("call %s: %w", to, err)
	}
	good := resp.StatusCode == http.StatusOK || method != http.MethodGet && resp.StatusCode > 200 && resp.StatusCode <= 204
	if !good {
		var e apiError
		if json.Unmarshal(text, &e) != nil || e.Message == "" {
			e.Message = fmt.Sprintf("error with status code %d", resp.StatusCode)
		}
		return fmt.Errorf("call %s: %s", to, e.Message)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("call %s: %w", to, err)
	}
	return nil
}

func (c *client) register(ctx context.Context, i Integration) (string, error) {
	var out idBody
	err := c.do(ctx, http.MethodPost, c.shipyard()+"/v1/uniform/registration", i, &out)
	return out.ID, err
}

func (c *client) ping(ctx context.Context, id string) ([]Subscription, error) {
	var out Integration
	err := c.do(ctx, http.MethodPut, c.shipyard()+"/v1/uniform/registration/"+id+"/ping", nil, &out)
	return out.Subscriptions, err
}

func (c *client) log(ctx context.Context, entries []LogEntry) error {
	return c.do(ctx, http.MethodPost, c.shipyard()+"/v1/log", logBody{Logs: entries}, nil)
}

func (c *client) send(ctx context.Context, e Event) error {
	return c.do(ctx, http.MethodPost, c.endpoint+"/v1/event", e, nil)
}

// open returns all open events of a subscription, whose filter is part of the
// query as far as it has one value.
func (c *client) open(ctx context.Context, s Subscription) ([]Event, error) {
	var out []Event
	for key := ""; ; {
		q := url.Values{}
		for name, values := range map[string][]string{"project": s.Filter.Projects, "stage": s.Filter.Stages, "service": s.Filter.Services} {
			if len(values) == 1 {
				q.Set(name, values[0])
			}
		}
		if key != "" {
			q.Set("nextPageKey", key)
		}
		to := c.shipyard() + "/v1/event/triggered/" + s.Event
		if len(q) > 0 {
			to += "?" + q.Encode()
		}
		var p eventPage
		if err := c.do(ctx, http.MethodGet, to, nil, &p); err != nil {
			return nil, err
		}
		out = append(out, p.Events...)
		if key = p.NextPageKey; key == "" || key == "0" {
			return out, nil
		}
	}
}

// failure returns what is reported about an event, if it is an error.
func failure(e Event, id string) (LogEntry, bool) {
	l := LogEntry{IntegrationID: id, Context: e.Context, TriggeredID: e.TriggeredID, Commit: e.Commit, Task: task(e.TypeName())}
	var d struct {
		Data
		Task string `json:"task"`
	}
	_ = json.Unmarshal(e.Data, &d) // then there is nothing to report
	l.Message = d.Message
	if e.TypeName() == typeLogError {
		l.Task = d.Task
		return l, true
	}
	return l, kind(e.TypeName()) == kindFinished && d.Status == errored
}
