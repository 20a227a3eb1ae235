package gateway

import (
	"encoding/json"
	"time"

	"github.com/ringway/ringway/bridge/plane"
)

// A clientsAnswer is what one server of an external NATS says of its clients.
type clientsAnswer struct {
	Data struct {
		Connections []struct {
			Kind string `json:"kind"`
			IP   string `json:"ip"`
			Name string `json:"name"`
			Subs []struct {
				Subject string `json:"subject"`
				Queue   string `json:"qgroup"`
			} `json:"subscriptions_list_detail"`
		} `json:"connections"`
	} `json:"data"`
}

// clients returns the clients of the external NATS, with what they subscribe to,
// as far as its servers say. It waits for answers for 200 ms.
func (c *clientele) clients() []plane.Client {
	if c == nil || !c.nc.IsConnected() {
		return nil
	}
	const patience = 200 * time.Millisecond
	reply := c.nc.NewRespInbox()
	sub, err := c.nc.SubscribeSync(reply)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be closed already
	if c.nc.PublishRequest(connzQuestion, reply, []byte(`{"subscriptions_detail":true,"limit":4096}`)) != nil {
		return nil
	}
	var out []plane.Client
	for end := time.Now().Add(patience); ; {
		m, err := sub.NextMsg(time.Until(end))
		if err != nil {
			return out
		}
		var a clientsAnswer
		if json.Unmarshal(m.Data, &a) != nil {
			continue
		}
		for _, conn := range a.Data.Connections {
			if conn.Kind != "Client" {
				continue
			}
			is := plane.Client{Addr: conn.IP, Name: conn.Name}
			for _, s := range conn.Subs {
				is.Subs = append(is.Subs, plane.Sub{Subject: s.Subject, Queue: s.Queue})
			}
			out = append(out, is)
		}
	}
}
