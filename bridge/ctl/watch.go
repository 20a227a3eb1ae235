package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/ringway/ringway/bridge"
	"github.com/ringway/ringway/topology"
)

// A Watcher is somebody with credentials of account FED that are good for asking
// alone.
type Watcher struct {
	Name  string // in FED
	Inbox string // prefix of its inboxes
	File  string // credentials
	// CA, Cert and Key are files for TLS, PEM; empty: the system's, and none.
	CA, Cert, Key string
}

// Ask finds the gateway of the stamp whose NATS is at url, and asks it. The
// answer is JSON.
func (w Watcher) Ask(ctx context.Context, url, what string) ([]byte, error) {
	return w.Query(ctx, url, what, nil)
}

// Query is Ask of a question that has a body.
func (w Watcher) Query(ctx context.Context, url, what string, body []byte) ([]byte, error) {
	opts := []nats.Option{
		nats.Name("ringway " + w.Name), nats.UserCredentials(w.File), nats.CustomInboxPrefix(w.Inbox), nats.NoReconnect(),
	}
	if w.CA != "" {
		opts = append(opts, nats.RootCAs(w.CA))
	}
	if w.Cert != "" {
		opts = append(opts, nats.ClientCert(w.Cert, w.Key))
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	defer nc.Close()
	stamp, err := find(ctx, nc)
	if err != nil {
		return nil, fmt.Errorf("ask for the gateway at %s: %w", url, err)
	}
	me := topology.StampID(w.Name)
	sub, err := nc.SubscribeSync(bridge.ShowRepliesFor(me, "x"))
	if err != nil {
		return nil, fmt.Errorf("ask gateway of stamp %s: %w", stamp, err)
	}
	if err := nc.PublishRequest(bridge.CtlSubject(stamp, me, what), bridge.ShowReply(me, stamp, "x", "1"), body); err != nil {
		return nil, fmt.Errorf("ask gateway of stamp %s: %w", stamp, err)
	}
	m, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask gateway of stamp %s: %w", stamp, err)
	}
	if err := refusal(m); err != nil {
		return nil, fmt.Errorf("ask gateway of stamp %s: %w", stamp, err)
	}
	return m.Data, nil
}

// find asks which stamp this is.
func find(ctx context.Context, nc *nats.Conn) (topology.StampID, error) {
	m, err := nc.RequestWithContext(ctx, "$SRV.INFO."+Service, nil)
	if err != nil {
		return "", err
	}
	var info micro.Info
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if info.Metadata["stamp"] == "" {
		return "", errors.New("its service does not say which stamp it is")
	}
	return topology.StampID(info.Metadata["stamp"]), nil
}

// refusal returns why a message is no answer, or nil.
func refusal(m *nats.Msg) error {
	why, code := m.Header.Get(micro.ErrorHeader), m.Header.Get(micro.ErrorCodeHeader)
	switch {
	case m.Header.Get("Status") == "503":
		return ErrNoWay
	case code == codeForbidden:
		return fmt.Errorf("%w: %s", ErrRefused, why)
	case code != "":
		return errors.New(why)
	}
	return nil
}
