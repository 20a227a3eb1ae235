package keystore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

// ErrRevoked reports a stamp that was revoked. Renew lets it in again.
var ErrRevoked = errors.New("stamp is revoked")

// IssueFolder returns the folder of stamp id, and keeps in the store what was
// made for it. Keys are made once. Tokens and certificates that are still good
// and say the same are kept, so issuing again changes nothing without a reason.
//
// Other stamps may need new folders as well: after a Revoke, and if account FED
// changes with a new version.
func (s *Store) IssueFolder(mesh *topology.Mesh, id topology.StampID, now time.Time) (*auth.Folder, error) {
	f, err := s.issue(mesh, id, now)
	if err != nil {
		return nil, fmt.Errorf("issue folder of stamp %s: %w", id, err)
	}
	return f, nil
}

func (s *Store) issue(mesh *topology.Mesh, id topology.StampID, now time.Time) (*auth.Folder, error) {
	stamp := mesh.Stamp(id)
	if stamp == nil {
		return nil, errors.New("the topology does not have it")
	}
	if mesh.Name != s.Federation {
		return nil, fmt.Errorf("the store is of federation %s, the topology of %s", s.Federation, mesh.Name)
	}
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	before, err := s.before(id)
	if err != nil {
		return nil, err
	}
	users, err := s.current(id)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(users, func(u string) bool { return auth.Revoked(before.Fed, u) }) {
		return nil, ErrRevoked
	}
	keys, err := s.keys(id)
	if err != nil {
		return nil, err
	}
	f, err := auth.Issue(auth.Order{
		Federation: s.Federation, Operator: s.opJWT, Stamp: stamp, Keys: *keys,
		Authority: ca, Before: *before, Random: rand.Reader, Now: now,
	})
	if err != nil {
		return nil, err
	}
	return f, s.keep(f)
}

func (s *Store) authority() (*auth.Authority, error) {
	cert, err := read(s.path("ca", "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	key, err := read(s.path("ca", "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("read key of CA: %w", err)
	}
	return auth.ParseAuthority(cert, key)
}

// A place is one part of a folder and the file of the store that holds it.
type place struct {
	file string
	text *string // a token
	blob *[]byte // anything else
}

// places returns where the parts of f are kept in the store.
func (s *Store) places(f *auth.Folder) []place {
	id := f.Stamp
	out := []place{}
	for name, to := range map[string]*string{
		auth.AccountSys: &f.Sys, auth.AccountFed: &f.Fed,
		auth.AccountApp(id): &f.App, auth.AccountRelay(id): &f.Relay, auth.AccountDeliver(id): &f.Deliver,
	} {
		out = append(out, place{file: s.accountPath(name, name+".jwt"), text: to})
	}
	for name, to := range map[string]*[]byte{
		auth.FileGatewayCert: &f.GatewayCert, auth.FileGatewayKey: &f.GatewayKey,
		auth.FileLinkCert: &f.LinkCert, auth.FileLinkKey: &f.LinkKey,
		auth.FilePeerCert: &f.PeerCert, auth.FilePeerKey: &f.PeerKey,
	} {
		out = append(out, place{file: s.path("certs", string(id), name), blob: to})
	}
	return out
}

// before returns what the store holds of the folder of stamp id.
func (s *Store) before(id topology.StampID) (*auth.Folder, error) {
	f := &auth.Folder{Stamp: id}
	for _, p := range s.places(f) {
		b, err := read(p.file)
		if err != nil {
			return nil, fmt.Errorf("read what was issued before: %w", err)
		}
		if p.text != nil {
			*p.text = strings.TrimSpace(string(b))
		} else {
			*p.blob = b
		}
	}
	for role, to := range map[string]*[]byte{auth.RoleLink: &f.LeafCreds, auth.RoleBridge: &f.FedCreds} {
		token, err := s.token(s.userPath(id, role))
		if err != nil {
			return nil, err
		}
		if token == "" {
			continue
		}
		if *to, err = jwt.DecorateJWT(token); err != nil {
			return nil, fmt.Errorf("read user: %w", err)
		}
	}
	return f, nil
}

// keep writes what f holds into the store; seeds are there already.
func (s *Store) keep(f *auth.Folder) error {
	for _, p := range s.places(f) {
		content := []byte{}
		if p.text != nil {
			content = []byte(*p.text)
		} else {
			content = append(content, *p.blob...)
		}
		if len(content) == 0 {
			continue // the certificates of what is no hub any more do no harm
		}
		if err := write(p.file, content); err != nil {
			return fmt.Errorf("keep %s: %w", filepath.Base(p.file), err)
		}
	}
	for role, creds := range map[string][]byte{auth.RoleLink: f.LeafCreds, auth.RoleBridge: f.FedCreds} {
		token, err := jwt.ParseDecoratedJWT(creds)
		if err != nil {
			return fmt.Errorf("keep user: %w", err)
		}
		if err := write(s.userPath(f.Stamp, role), []byte(token)); err != nil {
			return fmt.Errorf("keep user: %w", err)
		}
	}
	return nil
}
