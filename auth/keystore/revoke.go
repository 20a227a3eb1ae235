package keystore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

// Revoke takes every user that stamp id ever had in FED out of it, and refuses
// the stamp new folders until Renew. It counts where the new account FED is:
// issue the folders of the other stamps again and give them out. The
// certificates of a hub can not be revoked; see docs/auth.md.
func (s *Store) Revoke(id topology.StampID, now time.Time) error {
	if err := s.revoke(id, now); err != nil {
		return fmt.Errorf("revoke stamp %s: %w", id, err)
	}
	return nil
}

func (s *Store) revoke(id topology.StampID, now time.Time) error {
	current, err := s.current(id)
	if err != nil {
		return err
	}
	retired, err := s.retired(id)
	if err != nil {
		return err
	}
	users := slices.Concat(current, retired)
	if len(users) == 0 {
		return errors.New("it was never issued a folder")
	}
	return s.revokeUsers(users, now)
}

// RevokeUser takes a user of FED, by its public key, out of it: a watcher or an
// operator. It counts where the new account FED is, as with Revoke.
func (s *Store) RevokeUser(key string, now time.Time) error {
	if !nkeys.IsValidPublicUserKey(key) {
		return fmt.Errorf("revoke user: %q is no public key of a user", key)
	}
	if err := s.revokeUsers([]string{key}, now); err != nil {
		return fmt.Errorf("revoke user %s: %w", key, err)
	}
	return nil
}

func (s *Store) revokeUsers(users []string, now time.Time) error {
	key, err := s.signing()
	if err != nil {
		return err
	}
	file := s.accountPath(auth.AccountFed, auth.AccountFed+".jwt")
	fed, err := s.token(file)
	if err != nil {
		return err
	}
	if fed, err = auth.Revoke(fed, key, now, users...); err != nil {
		return err
	}
	if err := write(file, []byte(fed)); err != nil {
		return fmt.Errorf("write account FED: %w", err)
	}
	return nil
}

// Renew forgets the users of stamp id, and the certificates that the store's
// own CA signed, so that its next folder has new ones. The old ones stay good until they expire or the stamp
// is revoked: give out the new folder first. A stamp that was revoked gets in
// again with its next folder, and its old users stay out.
func (s *Store) Renew(id topology.StampID) error {
	for _, role := range []string{auth.RoleLink, auth.RoleBridge} {
		file := s.userPath(id, role)
		user, err := s.subject(file)
		if err != nil {
			return fmt.Errorf("renew stamp %s: %w", id, err)
		}
		if user == "" {
			continue
		}
		if err := move(file, s.path("retired", string(id), user+".jwt")); err != nil {
			return fmt.Errorf("renew stamp %s: retire user: %w", id, err)
		}
	}
	if _, err := os.Stat(s.path("ca", "ca.key")); err != nil {
		return nil //nolint:nilerr // certificates were brought along, and nobody here could make others
	}
	if err := os.RemoveAll(s.path("certs", string(id))); err != nil {
		return fmt.Errorf("renew stamp %s: remove certificates: %w", id, err)
	}
	return nil
}

// Issued returns the stamps that have a folder, sorted.
func (s *Store) Issued() ([]topology.StampID, error) {
	files, err := filepath.Glob(s.accountPath(auth.AccountFed, "users", "*.leaf.jwt"))
	if err != nil {
		return nil, fmt.Errorf("list stamps: %w", err)
	}
	var out []topology.StampID
	for _, f := range files {
		out = append(out, topology.StampID(strings.TrimSuffix(filepath.Base(f), ".leaf.jwt")))
	}
	slices.Sort(out)
	return out, nil
}

// current returns the public keys of the users that stamp id has now.
func (s *Store) current(id topology.StampID) ([]string, error) {
	var out []string
	for _, role := range []string{auth.RoleLink, auth.RoleBridge} {
		user, err := s.subject(s.userPath(id, role))
		if err != nil {
			return nil, err
		}
		if user != "" {
			out = append(out, user)
		}
	}
	return out, nil
}

// retired returns the public keys of the users that stamp id had.
func (s *Store) retired(id topology.StampID) ([]string, error) {
	files, err := filepath.Glob(s.path("retired", string(id), "*.jwt"))
	if err != nil {
		return nil, fmt.Errorf("list retired users: %w", err)
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(filepath.Base(f), ".jwt"))
	}
	return out, nil
}

// subject returns the public key of the user whose token is in file, or "".
func (s *Store) subject(file string) (string, error) {
	token, err := s.token(file)
	if err != nil || token == "" {
		return "", err
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return "", fmt.Errorf("read user: %w", err)
	}
	return c.Subject, nil
}
