package keystore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/auth"
)

// ErrLocked reports a store that another process uses. Trying again helps when
// that one is done.
var ErrLocked = errors.New("key store is in use by another process")

// ErrNoStore reports a directory that holds no key store: Init makes one.
var ErrNoStore = errors.New("there is no key store")

// A Store is the open key store of one federation. It is locked until Close,
// and its methods must not be called at once.
type Store struct {
	Federation string // the name of the operator

	dir    string
	unlock func() error
	op     *jwt.OperatorClaims
	opJWT  string
}

// A CA is a certificate authority that was made elsewhere, as PEM. Without Key
// the store signs no certificates: those of hubs are brought along as well.
type CA struct {
	Cert, Key []byte
}

// Init makes a key store for federation name in dir and opens it: a new
// operator, its system account, account FED and, unless ca brings one, a CA.
// It fails with fs.ErrExist if dir holds a store. An Init that was interrupted
// can be run again.
func Init(dir, name string, now time.Time, ca *CA) (*Store, error) {
	if name == "" || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("make key store: %q can not be the name of a directory", name)
	}
	if err := private(dir); err != nil {
		return nil, fmt.Errorf("make key store: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, fmt.Errorf("make key store: %w", err)
	}
	s := &Store{Federation: name, dir: dir, unlock: unlock}
	if err := s.init(now, ca); err != nil {
		return nil, errors.Join(fmt.Errorf("make key store: %w", err), unlock())
	}
	return s, nil
}

func (s *Store) init(now time.Time, ca *CA) error {
	if found, err := operators(s.dir); err != nil || len(found) > 0 {
		return errors.Join(err, fmt.Errorf("%s has operator %s: %w", s.dir, strings.Join(found, ", "), fs.ErrExist))
	}
	if err := s.initCA(now, ca); err != nil {
		return err
	}
	var keys [3]nkeys.KeyPair
	for i, kind := range []nkeys.PrefixByte{nkeys.PrefixByteOperator, nkeys.PrefixByteOperator, nkeys.PrefixByteAccount} {
		k, err := s.create(kind)
		if err != nil {
			return err
		}
		keys[i] = k
	}
	identity, signing, sys := keys[0], keys[1], keys[2]
	var pub [2]string
	for i, k := range []nkeys.KeyPair{signing, sys} {
		p, err := k.PublicKey()
		if err != nil {
			return err
		}
		pub[i] = p
	}
	token, err := auth.Operator(s.Federation, identity, pub[0], pub[1], now)
	if err != nil {
		return err
	}
	if err := s.initAdmin(sys, now); err != nil {
		return err
	}
	// The operator's token comes last: with it the store is there.
	if err := write(s.operatorPath(".nsc"), []byte(nscInfo(s.Federation))); err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	if err := write(s.operatorPath(s.Federation+".jwt"), []byte(token)); err != nil {
		return fmt.Errorf("write operator: %w", err)
	}
	return s.load()
}

// initCA takes over the CA that was brought, or that an interrupted Init left,
// or makes one.
func (s *Store) initCA(now time.Time, ca *CA) error {
	if ca == nil {
		cert, err := read(s.path("ca", "ca.crt"))
		if err != nil {
			return fmt.Errorf("read CA: %w", err)
		}
		key, err := read(s.path("ca", "ca.key"))
		if err != nil {
			return fmt.Errorf("read CA: %w", err)
		}
		if ca = (&CA{cert, key}); len(cert) == 0 {
			if ca.Cert, ca.Key, err = auth.NewAuthority(s.Federation, rand.Reader, now); err != nil {
				return err
			}
		}
	}
	return s.UseCA(ca)
}

// CA returns what UseCA last put in place. Its Key is empty if the store has
// none.
func (s *Store) CA() (*CA, error) {
	cert, err := read(s.path("ca", "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	key, err := read(s.path("ca", "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("read key of CA: %w", err)
	}
	return &CA{Cert: cert, Key: key}, nil
}

// UseCA puts ca in the place of the store's CA. Cert may hold several
// certificates: all are trusted, the one that belongs to Key signs. To change
// the CA of a running federation, first issue folders that trust both.
func (s *Store) UseCA(ca *CA) error {
	if _, err := auth.ParseAuthority(ca.Cert, ca.Key); err != nil {
		return err
	}
	if len(ca.Key) == 0 {
		if err := os.Remove(s.path("ca", "ca.key")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove key of the CA before: %w", err)
		}
	} else if err := write(s.path("ca", "ca.key"), ca.Key); err != nil {
		return fmt.Errorf("write key of CA: %w", err)
	}
	if err := write(s.path("ca", "ca.crt"), ca.Cert); err != nil {
		return fmt.Errorf("write CA: %w", err)
	}
	return nil
}

// initAdmin makes the user of the system account that people use.
func (s *Store) initAdmin(sys nkeys.KeyPair, now time.Time) error {
	user, err := s.create(nkeys.PrefixByteUser)
	if err != nil {
		return err
	}
	creds, err := auth.Admin(sys, user, now)
	if err != nil {
		return err
	}
	if err := write(s.path("creds", s.Federation, auth.AccountSys, "admin.creds"), creds); err != nil {
		return fmt.Errorf("write credentials of admin: %w", err)
	}
	return nil
}

// Open opens the key store in dir.
func Open(dir string) (*Store, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("open key store: %w", errors.Join(ErrNoStore, err))
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	s := &Store{dir: dir, unlock: unlock}
	if err := s.find(); err != nil {
		return nil, errors.Join(fmt.Errorf("open key store: %w", err), unlock())
	}
	return s, nil
}

func (s *Store) find() error {
	found, err := operators(s.dir)
	if err != nil {
		return err
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("%s: %w", s.dir, ErrNoStore)
	case 1:
		s.Federation = found[0]
		return s.load()
	}
	return fmt.Errorf("%s holds more than one operator: %s", s.dir, strings.Join(found, ", "))
}

func (s *Store) load() error {
	b, err := os.ReadFile(s.operatorPath(s.Federation + ".jwt"))
	if err != nil {
		return fmt.Errorf("read operator: %w", err)
	}
	s.opJWT = strings.TrimSpace(string(b))
	if s.op, err = jwt.DecodeOperatorClaims(s.opJWT); err != nil {
		return fmt.Errorf("read operator: %w", err)
	}
	return nil
}

// Close lets other processes use the store.
func (s *Store) Close() error { return s.unlock() }

// operators returns the names of the operators whose token is in the store.
func operators(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "stores", "*", "*.jwt"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		if name := filepath.Base(filepath.Dir(f)); filepath.Base(f) == name+".jwt" {
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *Store) operatorPath(parts ...string) string {
	return s.path(append([]string{"stores", s.Federation}, parts...)...)
}

func (s *Store) accountPath(account string, parts ...string) string {
	return s.operatorPath(append([]string{"accounts", account}, parts...)...)
}

// nscInfo is the file by which nsc knows a store.
func nscInfo(name string) string {
	return fmt.Sprintf(`{"managed":false,"name":%q,"kind":"operator","version":"1"}`, name)
}
