package auth

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/topology"
)

// Keys are the key pairs that a stamp's Folder is made with. All are needed,
// with their seeds; of Sys and Fed the public key is enough.
type Keys struct {
	Operator nkeys.KeyPair // a signing key of the operator, not its identity

	Sys, Fed            nkeys.KeyPair // the accounts that all stamps share
	Link, Bridge        nkeys.KeyPair // the signing keys of FED, one for each role
	App, Relay, Deliver nkeys.KeyPair // the stamp's own accounts

	// Signing keys of the stamp's own accounts. Their seeds go into its Folder.
	AppUsers, RelayUsers, DeliverUsers nkeys.KeyPair

	LeafUser, BridgeUser nkeys.KeyPair // the stamp's users in FED
}

// An Order is what a Folder is made from.
type Order struct {
	Federation string // the name of the operator
	Operator   string // its JWT
	Stamp      *topology.Stamp
	Keys       Keys
	Authority  *Authority

	// Before is what was issued to the stamp last; what is not there is empty.
	// What would say the same is kept as it is. Its Fed says who is revoked.
	Before Folder

	Random io.Reader // for the keys and serial numbers of certificates
	Now    time.Time
}

// Issue makes the Folder of one stamp. The same Order gives the same Folder,
// but for new certificates.
func Issue(o Order) (*Folder, error) {
	f := &Folder{Stamp: o.Stamp.ID, Operator: o.Operator, CA: o.Authority.PEM}
	for _, step := range []func(*Folder) error{o.accounts, o.users, o.certificates} {
		if err := step(f); err != nil {
			return nil, fmt.Errorf("issue identity of stamp %s: %w", o.Stamp.ID, err)
		}
	}
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("issue identity of stamp %s: %w", o.Stamp.ID, err)
	}
	return f, nil
}

func (o *Order) accounts(f *Folder) error {
	var revoked jwt.RevocationList
	if o.Before.Fed != "" {
		c, err := jwt.DecodeAccountClaims(o.Before.Fed)
		if err != nil {
			return fmt.Errorf("read who is revoked in account FED: %w", err)
		}
		revoked = c.Revocations
	}
	own, err := ownClaims(o.Stamp, &o.Keys, &o.Before, o.Now)
	if err != nil {
		return err
	}
	var errs []error
	s := signer{o.Keys.Operator, o.Now}
	for _, a := range []struct {
		claims *jwt.AccountClaims
		before string
		to     *string
	}{
		{sysClaims(&o.Keys), o.Before.Sys, &f.Sys},
		{fedClaims(&o.Keys, revoked), o.Before.Fed, &f.Fed},
		{own.app, o.Before.App, &f.App},
		{own.relay, o.Before.Relay, &f.Relay},
		{own.deliver, o.Before.Deliver, &f.Deliver},
	} {
		*a.to, err = s.sign(a.claims, a.before, 0)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *Order) users(f *Folder) error {
	var errs [5]error
	k, id := &o.Keys, o.Stamp.ID
	f.LeafCreds, errs[0] = fedCreds(id, k.Fed, k.Link, k.LeafUser, o.Before.LeafCreds, LinkLife, o.Now)
	f.FedCreds, errs[1] = fedCreds(id, k.Fed, k.Bridge, k.BridgeUser, o.Before.FedCreds, 0, o.Now)
	f.AppSeed, errs[2] = k.AppUsers.Seed()
	f.RelaySeed, errs[3] = k.RelayUsers.Seed()
	f.DeliverSeed, errs[4] = k.DeliverUsers.Seed()
	return errors.Join(errs[:]...)
}

// certificates gives every stamp the certificate for its replicas, and a hub
// its two for links.
func (o *Order) certificates(f *Folder) error {
	peer, err := o.Authority.issue(o.Stamp.ID, o.Federation, []string{PeerName(o.Stamp.ID)}, peerPair(&o.Before), o.Random, o.Now)
	switch {
	case err == nil:
		f.PeerCert, f.PeerKey = peer.cert, peer.key
	case errors.Is(err, ErrNoAuthorityKey) && o.Stamp.Replicas <= 1:
		// One replica has no peers, and nobody has to bring it a certificate.
	default:
		return err
	}
	if o.Stamp.Link.Kind != topology.LinkHub {
		return nil
	}
	at := o.Stamp.Link.Advertise
	gateway, err := o.Authority.issue(o.Stamp.ID, o.Federation, hosts(at.Gateway), gatewayPair(&o.Before), o.Random, o.Now)
	if err != nil {
		return err
	}
	link, err := o.Authority.issue(o.Stamp.ID, o.Federation, hosts(at.Leafnode, at.WebSocket), linkPair(&o.Before), o.Random, o.Now)
	if err != nil {
		return err
	}
	f.GatewayCert, f.GatewayKey = gateway.cert, gateway.key
	f.LinkCert, f.LinkKey = link.cert, link.key
	return nil
}
