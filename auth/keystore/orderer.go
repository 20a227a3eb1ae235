package keystore

import (
	"fmt"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/auth"
)

// Orderer returns the credentials of somebody new who may give orders to
// gateways, and the public key by which they can be revoked. They are not kept.
func (s *Store) Orderer(name string, life time.Duration, now time.Time) (file []byte, key string, err error) {
	fed, _, err := s.account(auth.AccountFed)
	if err != nil {
		return nil, "", err
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", fmt.Errorf("make key: %w", err)
	}
	return auth.Orderer(name, fed, user, life, now)
}
