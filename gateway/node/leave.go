package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// leave asks the clients to go elsewhere and ends the server, whose options are
// o.
//
// The server's own lame duck mode closes the streams first and answers clients
// for some time after, and so does its shutdown: what they publish then is lost
// although the server confirmed to have it. So this tells the clients, closes
// them, lets nobody in any more, sees that what they sent is stored, and only then
// closes the streams. One of a cluster hands over what it leads before that, which
// lame duck mode does.
func (e *engine) leave(o *server.Options) {
	e.dismiss()
	if err := e.admit(o, -1); err == nil {
		e.dismiss() // who came meanwhile
	}
	if e.NumRoutes() > 0 {
		e.LameDuckShutdown()
	}
	e.stop()
}

// dismissal bounds the wait until what clients sent is stored.
const dismissal = 2 * time.Second

// dismiss closes the clients and waits until the streams have taken in what
// they sent.
func (e *engine) dismiss() {
	limit := time.NewTimer(dismissal)
	defer limit.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for e.closeClients(nil) > 0 || e.ingesting() {
		select {
		case <-look.C:
		case <-limit.C:
			return
		}
	}
}

// closeClients says good-bye to every client, as lame duck mode does, and
// returns how many there were. Those of the accounts in keep stay.
func (e *engine) closeClients(keep []string) int {
	conns, err := e.Connz(&server.ConnzOptions{Limit: 1 << 20, Username: true})
	if err != nil {
		return 0
	}
	n := 0
	for _, c := range conns.Conns {
		if slices.Contains(keep, c.Account) {
			continue
		}
		n++
		// A client that is too old for the word, or gone already, needs none.
		_ = e.LDMClientByID(c.Cid)
		_ = e.DisconnectClientByID(c.Cid)
	}
	return n
}

// Dismiss closes the stamp's clients at this replica and lets nobody connect any
// more: what they sent has reached the connections of the bridge when it returns
// and those have been flushed. It is called before the bridge stops, where
// capture is the bridge's work and not the server's.
func (n *Node) Dismiss() error {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	local, p := n.running(), n.current()
	if local == nil {
		return ErrNotRunning
	}
	var ours []string
	for _, a := range []Account{FED, RELAY, DELIVER} {
		ours = append(ours, p.creds.key(a))
	}
	if err := local.dismissOthers(ours); err != nil {
		return err
	}
	o, err := p.local()
	if err != nil {
		return fmt.Errorf("close clients: %w", err)
	}
	if err := local.admit(o, local.NumClients()); err != nil {
		return fmt.Errorf("close clients: %w", err)
	}
	return local.dismissOthers(ours)
}

// Shut closes every connection to this replica and lets nobody connect any more. It
// is called when the bridge has stopped and still has the connections that Dismiss
// has left: clients that took their places would be told that the stamp has what
// they publish, and nobody would hear it.
func (n *Node) Shut() {
	n.stopMu.Lock()
	defer n.stopMu.Unlock()
	local, p := n.running(), n.current()
	if local == nil {
		return
	}
	o, err := p.local()
	if err == nil {
		err = local.admit(o, -1)
	}
	if err != nil {
		n.cfg.Log.Warn("clients not kept away, what they publish now may be lost", "err", err)
	}
}

// admit bounds how many clients may be connected at a time; less than 0 is none.
// o are the options of the server.
func (e *engine) admit(o *server.Options, n int) error {
	o.AccountResolver = e.AccountResolver()
	o.MaxConn = n
	return e.ReloadOptions(o) //nolint:wrapcheck // the caller says what for
}

// dismissOthers closes clients until none is left but those of the accounts in
// keep.
func (e *engine) dismissOthers(keep []string) error {
	limit := time.NewTimer(dismissal)
	defer limit.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for e.closeClients(keep) > 0 {
		select {
		case <-look.C:
		case <-limit.C:
			return errors.New("close clients: some do not go")
		}
	}
	return nil
}

// ingesting reports whether a stream has messages that it has not stored yet.
func (e *engine) ingesting() bool {
	for _, q := range *e.Ipqueuesz(&server.IpqueueszOptions{Filter: " messages"}) {
		if q.Pending > 0 || q.InProgress > 0 {
			return true
		}
	}
	return false
}
