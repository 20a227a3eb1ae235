package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// ordererTag marks the token of somebody who may give orders to gateways. Users
// call such a person an operator; in this package that is NATS's.
const ordererTag = "ringway-operator"

// ordererUser is for people and programs that watch, and give orders. NATS lets
// them hand an order to the gateway of the stamp they connect to; whether it is
// carried out is decided by the signature, in every stamp that it is for.
func ordererUser(name string) grant {
	g := watcherUser(name)
	g.pub = append(g.pub, "rw.v1.ctl.*."+name+".order.>")
	return g
}

// Orderer returns the credentials of somebody who may give orders to every stamp,
// valid for life, and the public key by which they can be revoked. fed is the
// identity of account FED.
func Orderer(name string, fed, user nkeys.KeyPair, life time.Duration, now time.Time) (file []byte, key string, err error) {
	if !watcherName.MatchString(name) {
		return nil, "", fmt.Errorf("name %q of an operator: use small letters, digits and dashes", name)
	}
	c := jwt.NewUserClaims(public(user))
	c.Name = WatcherMark + name
	c.Tags.Add(ordererTag)
	c.UserPermissionLimits = ordererUser(c.Name).limits()
	token, err := signer{fed, now}.sign(c, "", life)
	if err != nil {
		return nil, "", err
	}
	file, err = creds(token, user)
	return file, public(user), err
}

// A SignedOrder is an order with the proof of who gave it. It is no secret.
type SignedOrder struct {
	Token     string `json:"token"` // of the user
	Order     []byte `json:"order"` // what was signed, byte for byte
	Signature []byte `json:"signature"`
}

// A Signer is who gave an order.
type Signer struct {
	Name string `json:"name"` // as in 'ringway auth operator --name'
	Key  string `json:"key"`  // public key of the user
}

// orderMark begins what is signed. A NATS client signs whatever nonce a server
// sends it, with the same key; a nonce comes as JSON, which cannot hold the first
// byte. So no server can have an order signed.
const orderMark = "\xffringway order v1\n"

// SignOrder signs an order with a credentials file of an operator.
func SignOrder(file, order []byte) (*SignedOrder, error) {
	token, err := jwt.ParseDecoratedJWT(file)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	if !slices.Contains(c.Tags, ordererTag) {
		return nil, fmt.Errorf("sign order: %w", errNoOrderer)
	}
	key, err := jwt.ParseDecoratedUserNKey(file)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	defer key.Wipe()
	sig, err := key.Sign(append([]byte(orderMark), order...))
	if err != nil {
		return nil, fmt.Errorf("sign order: %w", err)
	}
	return &SignedOrder{Token: token, Order: order, Signature: sig}, nil
}

// Why an order is refused.
var (
	errNotFed     = errors.New("the credentials are not of this federation")
	errNoOrderer  = errors.New("the credentials are not an operator's: make some with 'ringway auth operator'")
	errExpired    = errors.New("the credentials have expired")
	errNotYet     = errors.New("the credentials are not good yet")
	errRevoked    = errors.New("the credentials were revoked")
	errUnverified = errors.New("its signature is wrong")
)

// Verify returns who gave an order, if that one may give orders at now. Only the
// identity of account FED makes such a user, and no stamp has its key: no stamp
// can give an order to another.
func (f *Folder) Verify(o *SignedOrder, now time.Time) (Signer, error) {
	fed, err := jwt.DecodeAccountClaims(f.Fed)
	if err != nil {
		return Signer{}, fmt.Errorf("read %s: %w", FileFed, err)
	}
	c, err := jwt.DecodeUserClaims(o.Token)
	if err != nil {
		return Signer{}, fmt.Errorf("read token of an order: %w", err)
	}
	name, marked := cutMark(c.Name)
	switch {
	case c.Issuer != fed.Subject || c.IssuerAccount != "":
		return Signer{}, errNotFed
	case !marked || !slices.Contains(c.Tags, ordererTag):
		return Signer{}, errNoOrderer
	case c.Expires == 0 || now.Unix() >= c.Expires:
		return Signer{}, errExpired
	case c.NotBefore > now.Unix():
		return Signer{}, errNotYet
	case fed.IsClaimRevoked(c):
		return Signer{}, errRevoked
	}
	key, err := nkeys.FromPublicKey(c.Subject)
	if err != nil {
		return Signer{}, fmt.Errorf("read token of an order: %w", err)
	}
	if key.Verify(append([]byte(orderMark), o.Order...), o.Signature) != nil {
		return Signer{}, errUnverified
	}
	return Signer{Name: name, Key: c.Subject}, nil
}

func cutMark(name string) (rest string, ok bool) {
	if len(name) > len(WatcherMark) && name[:len(WatcherMark)] == WatcherMark {
		return name[len(WatcherMark):], true
	}
	return name, false
}
