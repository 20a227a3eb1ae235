package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/topology"
)

// A LocalUser is one of the users that a gateway has in its own local server.
// All of them connect in process and in no other way.
type LocalUser string

// The local users of a gateway.
const (
	UserFed     LocalUser = "fed"     // sends, and stores what arrives
	UserRelay   LocalUser = "relay"   // reads what was captured
	UserDeliver LocalUser = "deliver" // publishes what clients get
)

// LinkLife is how long the credentials of a link are valid. They are renewed
// by Issue in the last third of it. Those of users in process have no end:
// they are of no use elsewhere, and a stamp that is cut off serves on.
const LinkLife = 365 * 24 * time.Hour

// fedCreds returns the credentials of the user of account FED called like the
// stamp, signed by a scoped key, which says what it may do. before is what
// they were.
func fedCreds(s topology.StampID, fed, role, user nkeys.KeyPair, before []byte, life time.Duration, now time.Time) ([]byte, error) {
	c := jwt.NewUserClaims(public(user))
	c.Name, c.IssuerAccount = string(s), public(fed)
	c.SetScoped(true)
	old, err := jwt.ParseDecoratedJWT(before)
	if err != nil {
		old = ""
	}
	token, err := signer{role, now}.sign(c, old, life)
	if err != nil {
		return nil, err
	}
	return creds(token, user)
}

// Admin returns the credentials of a user of the system account, for people
// who look after the servers. It has no end and may do everything there.
func Admin(sys, user nkeys.KeyPair, now time.Time) ([]byte, error) {
	c := jwt.NewUserClaims(public(user))
	c.Name = "admin"
	token, err := signer{sys, now}.sign(c, "", 0)
	if err != nil {
		return nil, err
	}
	return creds(token, user)
}

func creds(token string, user nkeys.KeyPair) ([]byte, error) {
	seed, err := user.Seed()
	if err != nil {
		return nil, fmt.Errorf("read seed of user: %w", err)
	}
	return jwt.FormatUserConfig(token, seed)
}

// LocalCreds returns the credentials of a local user, as a .creds file has
// them. Those of the stamp's own accounts are made at time now, which is their
// date of issue; the key is always the same.
func (f *Folder) LocalCreds(u LocalUser, now time.Time) ([]byte, error) {
	var token string
	var seed []byte
	var may grant
	switch u {
	case UserFed:
		return f.FedCreds, nil
	case UserRelay:
		token, seed, may = f.Relay, f.RelaySeed, relayUser()
	case UserDeliver:
		token, seed, may = f.Deliver, f.DeliverSeed, deliverUser()
	default:
		return nil, fmt.Errorf("make local user: there is no %q", u)
	}
	user, c, err := minted(token, seed, "ringway-"+string(u), may)
	if err != nil {
		return nil, err
	}
	sign, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("read signing key of user %s: %w", u, err)
	}
	text, err := signer{sign, now}.sign(c, "", 0)
	if err != nil {
		return nil, err
	}
	return creds(text, user)
}

// minted returns a user of an account and its key, which follows from the
// account's signing seed and the user's name.
func minted(account string, seed []byte, name string, may grant) (nkeys.KeyPair, *jwt.UserClaims, error) {
	a, err := jwt.DecodeAccountClaims(account)
	if err != nil {
		return nil, nil, fmt.Errorf("make user %s: decode account: %w", name, err)
	}
	raw, err := hkdf.Key(sha256.New, seed, nil, "ringway user "+name, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("make user %s: derive key: %w", name, err)
	}
	user, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, raw)
	if err != nil {
		return nil, nil, fmt.Errorf("make user %s: derive key: %w", name, err)
	}
	c := jwt.NewUserClaims(public(user))
	c.Name, c.IssuerAccount, c.UserPermissionLimits = name, a.Subject, may.limits()
	return user, c, nil
}
