package keystore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

// ErrNoKey reports a seed that is not in the store. It is permanent until
// somebody puts the file back.
var ErrNoKey = errors.New("the store does not have the seed")

// create makes a key pair and keeps its seed.
func (s *Store) create(kind nkeys.PrefixByte) (nkeys.KeyPair, error) {
	k, err := nkeys.CreatePairWithRand(kind, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	pub, err := k.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	seed, err := k.Seed()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := write(s.keyPath(pub), seed); err != nil {
		return nil, fmt.Errorf("write key %s: %w", pub, err)
	}
	return k, nil
}

func (s *Store) keyPath(pub string) string {
	return s.path("keys", pub[:1], pub[1:3], pub+".nk")
}

// key returns the key pair of a public key.
func (s *Store) key(pub string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(s.keyPath(pub))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read key %s: %w", pub, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", pub, err)
	}
	k, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", pub, err)
	}
	if p, err := k.PublicKey(); err != nil || p != pub {
		return nil, fmt.Errorf("read key %s: file has the seed of another key", pub)
	}
	return k, nil
}

// signing returns a signing key of the operator. The seed of its identity is
// not needed.
func (s *Store) signing() (nkeys.KeyPair, error) {
	var errs []error
	for _, pub := range s.op.SigningKeys {
		k, err := s.key(pub)
		if err == nil {
			return k, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("find signing key of operator: %w", errors.Join(errs...))
}

// token returns a token of the store, or "" if it was not issued yet.
func (s *Store) token(file string) (string, error) {
	b, err := read(file)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// account returns the identity of an account and a signing key for each role;
// "" is the role of one without a scope. What is missing is made.
func (s *Store) account(name string, roles ...string) (nkeys.KeyPair, map[string]nkeys.KeyPair, error) {
	token, err := s.token(s.accountPath(name, name+".jwt"))
	if err != nil {
		return nil, nil, err
	}
	identity, have := "", map[string]string{}
	if token != "" {
		c, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			return nil, nil, fmt.Errorf("read account %s: %w", name, err)
		}
		identity, have = c.Subject, byRole(c)
	} else if name == auth.AccountSys {
		identity = s.op.SystemAccount
	}
	id, err := s.keyOrNew(identity, nkeys.PrefixByteAccount)
	if err != nil {
		return nil, nil, fmt.Errorf("account %s: %w", name, err)
	}
	keys := map[string]nkeys.KeyPair{}
	for _, r := range roles {
		if keys[r], err = s.keyOrNew(have[r], nkeys.PrefixByteAccount); err != nil {
			return nil, nil, fmt.Errorf("account %s: %w", name, err)
		}
	}
	return id, keys, nil
}

// byRole returns the signing keys of an account by their roles.
func byRole(c *jwt.AccountClaims) map[string]string {
	out := map[string]string{}
	for _, k := range c.SigningKeys.Keys() {
		scope, _ := c.SigningKeys.GetScope(k)
		if u, ok := scope.(*jwt.UserScope); ok {
			out[u.Role] = k
		} else {
			out[""] = k
		}
	}
	return out
}

func (s *Store) keyOrNew(pub string, kind nkeys.PrefixByte) (nkeys.KeyPair, error) {
	if pub == "" {
		return s.create(kind)
	}
	return s.key(pub)
}

// keys returns every key that the folder of stamp id is made with.
func (s *Store) keys(id topology.StampID) (*auth.Keys, error) {
	k := &auth.Keys{}
	var err error
	if k.Operator, err = s.signing(); err != nil {
		return nil, err
	}
	if k.Sys, _, err = s.account(auth.AccountSys); err != nil {
		return nil, err
	}
	var roles map[string]nkeys.KeyPair
	if k.Fed, roles, err = s.account(auth.AccountFed, auth.RoleLink, auth.RoleBridge); err != nil {
		return nil, err
	}
	k.Link, k.Bridge = roles[auth.RoleLink], roles[auth.RoleBridge]
	for _, a := range []struct {
		name            string
		identity, users *nkeys.KeyPair
	}{
		{auth.AccountApp(id), &k.App, &k.AppUsers},
		{auth.AccountRelay(id), &k.Relay, &k.RelayUsers},
		{auth.AccountDeliver(id), &k.Deliver, &k.DeliverUsers},
	} {
		if *a.identity, roles, err = s.account(a.name, ""); err != nil {
			return nil, err
		}
		*a.users = roles[""]
	}
	if k.LeafUser, err = s.user(s.userPath(id, auth.RoleLink)); err != nil {
		return nil, err
	}
	k.BridgeUser, err = s.user(s.userPath(id, auth.RoleBridge))
	return k, err
}

// user returns the key of the user whose token is in file, or a new one.
func (s *Store) user(file string) (nkeys.KeyPair, error) {
	token, err := s.token(file)
	if err != nil || token == "" {
		return s.orNewUser(err)
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return s.key(c.Subject)
}

func (s *Store) orNewUser(err error) (nkeys.KeyPair, error) {
	if err != nil {
		return nil, err
	}
	return s.create(nkeys.PrefixByteUser)
}

// userPath is where the token of a stamp's user lies. Both are called like the
// stamp, so the file says which it is.
func (s *Store) userPath(id topology.StampID, role string) string {
	kind := map[string]string{auth.RoleLink: "leaf", auth.RoleBridge: "bridge"}[role]
	return s.accountPath(auth.AccountFed, "users", string(id)+"."+kind+".jwt")
}
