package node

import (
	"io"
	"log/slog"
	"time"

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

// GiveUp makes a leaf's server look as if it had closed the connection to its
// hub some time ago and said nothing since.
func (n *Node) GiveUp() {
	n.dialling.note("Leafnode connection closed: Write Error", time.Now().Add(-dialTime-time.Second))
}

// Redial dials the hubs anew.
func (n *Node) Redial() error { return n.redial() }

// GivesUp reports whether a server that has said these lines, one a second, has
// given up after some time.
func GivesUp(after time.Duration, lines ...string) bool {
	var d dialling
	now := time.Now()
	for _, l := range lines {
		now = now.Add(time.Second)
		d.note(l, now)
	}
	return d.givenUp(now.Add(after))
}

// AccountsMade returns how many accounts the local server has made.
func (n *Node) AccountsMade() int { return n.running().NumLoadedAccounts() }

// Transient reports whether a connection that failed so is tried again.
func Transient(err error) bool { return transient(err) }

// Compressions returns how what the leafnode connections of the local server carry
// is compressed.
func (n *Node) Compressions() (all []string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	leafz, err := n.local.Leafz(nil)
	if err != nil {
		return []string{err.Error()}
	}
	for _, l := range leafz.Leafs {
		all = append(all, l.Compression)
	}
	return all
}
