package federation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/topology"
)

// issue writes the identity folder of every stamp, from keys that are made the
// first time.
func issue(dir string, m *topology.Mesh, now time.Time) (err error) {
	store, err := openStore(filepath.Join(dir, "keys"), m.Name, now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, s := range m.Stamps {
		folder, err := store.IssueFolder(m, s.ID, now)
		if err != nil {
			return err
		}
		if err := keystore.WriteFolder(identityDir(dir, s.ID), folder); err != nil {
			return fmt.Errorf("write identity of stamp %s: %w", s.ID, err)
		}
	}
	return nil
}

func openStore(dir, name string, now time.Time) (*keystore.Store, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return keystore.Init(dir, name, now, nil)
	}
	return keystore.Open(dir)
}

func identityDir(dir string, id topology.StampID) string {
	return filepath.Join(dir, "identity", string(id))
}
