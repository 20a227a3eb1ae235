package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/topology"
)

// The listeners of a hub that other stamps dial.
const (
	FacetGateway   = "gateway"
	FacetLeafnode  = "leafnode"
	FacetWebSocket = "websocket"
)

// A Board holds a relay for every way to connect, so that a stamp can be cut
// off although all of them live in one process.
type Board interface {
	// Addr returns the host:port at which stamp from reaches a listener of
	// stamp to. It is the same every time.
	Addr(from, to, facet string) (string, error)
	// Forward makes every relay to a listener of stamp to lead to target, a
	// host:port. It is called each time the stamp has started.
	Forward(to, facet, target string) error
}

// Config is what a Federation is made of.
type Config struct {
	Topology []byte // topology.yaml
	Dir      string // keys, identities and streams are kept below it
	Board    Board
	// Options changes the options of a stamp before its gateway is made; nil
	// changes nothing.
	Options func(*gateway.Options)
	// OneMachine runs what cannot be had on one machine differently: clients
	// of an external NATS embedded, proxies left out, one replica, no API of a
	// control plane. Notes says
	// what.
	OneMachine bool
	Log        *slog.Logger
	Now        func() time.Time // for tokens and certificates
}

// A Federation is the stamps of one topology. Its methods are safe for
// concurrent use.
type Federation struct {
	Mesh  *topology.Mesh
	Notes []string // what runs differently from how it is written

	cfg    Config
	file   string // topology.yaml on disk
	stamps []*Stamp
	signs  []net.PacketConn // of the addresses of replicas
}

// New writes the files of every stamp; it starts nothing.
// What Dir holds from an earlier run is used again.
func New(cfg Config) (*Federation, error) {
	f := &Federation{cfg: cfg, file: filepath.Join(cfg.Dir, "topology.yaml")}
	if err := f.compile(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	if err := os.WriteFile(f.file, f.cfg.Topology, 0o600); err != nil {
		return nil, fmt.Errorf("write topology: %w", err)
	}
	if err := issue(cfg.Dir, f.Mesh, cfg.Now()); err != nil {
		return nil, err
	}
	for _, s := range f.Mesh.Stamps {
		reach, err := f.reach(s)
		if err != nil {
			return nil, err
		}
		st, err := newStamp(f, s, reach)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.stamps = append(f.stamps, st)
	}
	return f, nil
}

func (f *Federation) compile() error {
	spec, err := topology.Load(f.file, f.cfg.Topology)
	if err != nil {
		return err
	}
	if f.cfg.OneMachine {
		if f.Notes = spec.OneMachine(); len(f.Notes) > 0 {
			if f.cfg.Topology, err = spec.Marshal(); err != nil {
				return err
			}
		}
	}
	f.Mesh, err = topology.Compile(spec)
	return err
}

// unreachable is what a hub says its own address is. Gateways tell each other
// the addresses they know; one that went around the relays could not be cut.
const unreachable = "127.0.0.1:1"

// reach returns where s reaches each hub: at a relay of its own.
func (f *Federation) reach(s *topology.Stamp) (map[topology.StampID]topology.Advertise, error) {
	out := map[topology.StampID]topology.Advertise{}
	if s.Link.Kind == topology.LinkHub {
		out[s.ID] = topology.Advertise{Gateway: unreachable, Leafnode: unreachable, WebSocket: unreachable}
	}
	for _, hub := range f.Mesh.Hubs() {
		if hub.ID == s.ID {
			continue
		}
		var a topology.Advertise
		facet, to := FacetLeafnode, &a.Leafnode
		switch {
		case s.Link.Kind == topology.LinkHub:
			facet, to = FacetGateway, &a.Gateway
		case s.Link.Transport == topology.TransportWSS:
			facet, to = FacetWebSocket, &a.WebSocket
		}
		var err error
		if *to, err = f.cfg.Board.Addr(string(s.ID), string(hub.ID), facet); err != nil {
			return nil, fmt.Errorf("connect %s to %s: %w", s.ID, hub.ID, err)
		}
		out[hub.ID] = a
	}
	return out, nil
}

// Start starts every stamp at once and returns when all are ready, or with the
// first error.
func (f *Federation) Start(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(f.stamps))
	for i, s := range f.stamps {
		wg.Go(func() { errs[i] = s.Start(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close stops every stamp. The Board is the caller's.
func (f *Federation) Close() error {
	var wg sync.WaitGroup
	errs := make([]error, len(f.stamps))
	for i, s := range f.stamps {
		wg.Go(func() { errs[i] = s.Stop() })
	}
	wg.Wait()
	for _, s := range f.signs {
		_ = s.Close() // nothing came in
	}
	f.signs = nil
	return errors.Join(errs...)
}

// Stamps returns the stamps in order of the topology.
func (f *Federation) Stamps() []*Stamp { return f.stamps }

// Stamp returns the stamp called id, or nil.
func (f *Federation) Stamp(id topology.StampID) *Stamp {
	for _, s := range f.stamps {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Reissue lets change work on the key store of the federation, and writes the
// identity of every stamp anew, as `ringway auth issue` would. Every running
// gateway notices by itself.
func (f *Federation) Reissue(change func(*keystore.Store) error) error {
	store, err := keystore.Open(filepath.Join(f.cfg.Dir, "keys"))
	if err != nil {
		return err
	}
	if err := errors.Join(change(store), store.Close()); err != nil {
		return err
	}
	return issue(f.cfg.Dir, f.Mesh, f.cfg.Now())
}

// SetTopology replaces the topology file, as a platform team would. Every
// running gateway notices by itself.
func (f *Federation) SetTopology(data []byte) error {
	f.cfg.Topology = data
	if err := os.WriteFile(f.file+".new", data, 0o600); err != nil {
		return fmt.Errorf("write topology: %w", err)
	}
	return os.Rename(f.file+".new", f.file)
}
