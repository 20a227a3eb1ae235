package auth

import (
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Operator returns the JWT of the operator of federation name. identity signs
// it and is needed for nothing else; signing is the key that signs accounts
// from then on, and sys the public key of the system account.
func Operator(name string, identity nkeys.KeyPair, signing, sys string, now time.Time) (string, error) {
	c := jwt.NewOperatorClaims(public(identity))
	if c == nil {
		return "", fmt.Errorf("sign operator %s: identity has no public key", name)
	}
	c.Name = name
	c.SystemAccount = sys
	c.SigningKeys.Add(signing)
	return signer{identity, now}.sign(c, "", 0)
}
