package node

import (
	"io"
	"log/slog"

	"github.com/nats-io/nats-server/v2/server"
)

// Options returns the options of both servers; those of the link server are
// nil in a leaf stamp.
func (n *Node) Options() (local, link *server.Options, err error) {
	p := n.current()
	if local, err = p.local(); err != nil || !p.hub() {
		return local, nil, err
	}
	link, err = p.link()
	return local, link, err
}

// NewLog returns the logger of a server that writes to w.
func NewLog(w io.Writer) server.Logger {
	h := slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
	return newServerLog(slog.New(h), func(string) {})
}
