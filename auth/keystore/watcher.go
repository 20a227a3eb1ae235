package keystore

import (
	"fmt"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/auth"
)

// Watcher returns the credentials of a new watcher, who may ask gateways how they
// are. They are not kept: they end by themselves.
func (s *Store) Watcher(name string, life time.Duration, now time.Time) ([]byte, error) {
	fed, _, err := s.account(auth.AccountFed)
	if err != nil {
		return nil, err
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return auth.Watcher(name, fed, user, life, now)
}
