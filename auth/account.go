package auth

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/topology"
)

// The accounts that are the same in all stamps.
const (
	AccountSys = "SYS" // NATS's own
	AccountFed = "FED" // what crosses
)

// AccountApp returns the name of the account of the clients of stamp s.
func AccountApp(s topology.StampID) string { return "APP-" + string(s) }

// AccountRelay returns the name of the account of our capture in stamp s.
func AccountRelay(s topology.StampID) string { return "RELAY-" + string(s) }

// AccountDeliver returns the name of the account of our last hop in stamp s.
func AccountDeliver(s topology.StampID) string { return "DELIVER-" + string(s) }

// unlimited is JetStream without limits: the disk is the stamp's own.
func unlimited() jwt.JetStreamLimits {
	return jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
		MaxAckPending: jwt.NoLimit,
	}
}

func account(name string, key nkeys.KeyPair) *jwt.AccountClaims {
	c := jwt.NewAccountClaims(public(key))
	c.Name = name
	return c
}

// sysClaims has the exports that nsc gives a system account, so that each
// account can ask the server about itself.
func sysClaims(k *Keys) *jwt.AccountClaims {
	c := account(AccountSys, k.Sys)
	c.Exports.Add(
		&jwt.Export{
			Name: "account-monitoring-services", Subject: "$SYS.REQ.ACCOUNT.*.*", Type: jwt.Service,
			ResponseType: jwt.ResponseTypeStream, AccountTokenPosition: 4,
		},
		&jwt.Export{
			Name: "account-monitoring-streams", Subject: "$SYS.ACCOUNT.*.>", Type: jwt.Stream, AccountTokenPosition: 3,
		},
	)
	return c
}

// fedClaims has a signing key for each role of a user. Templates say what its
// users may do by their name, so a new stamp changes nothing here.
func fedClaims(k *Keys, revoked jwt.RevocationList) *jwt.AccountClaims {
	c := account(AccountFed, k.Fed)
	c.Limits.JetStreamLimits = unlimited()
	c.Revocations = revoked
	for _, r := range []struct {
		role string
		key  nkeys.KeyPair
		may  grant
	}{{RoleLink, k.Link, linkUser()}, {RoleBridge, k.Bridge, bridgeUser()}} {
		s := jwt.NewUserScope()
		s.Key, s.Role, s.Template = public(r.key), r.role, r.may.limits()
		c.SigningKeys.AddScopedSigner(s)
	}
	return c
}

// own holds the claims of a stamp's own accounts.
type own struct {
	app, relay, deliver *jwt.AccountClaims
}

// ownClaims lets what clients publish flow from APP to RELAY, where it is
// stored, and what we deliver from DELIVER to APP. The server does not follow
// an import of an import, so a delivery is not captured again; and there is no
// way back, which would be a cycle.
//
// before holds the tokens of the same accounts as they were, or nothing.
func ownClaims(s *topology.Stamp, k *Keys, before *Folder, now time.Time) (*own, error) {
	o := &own{
		app:     account(AccountApp(s.ID), k.App),
		relay:   account(AccountRelay(s.ID), k.Relay),
		deliver: account(AccountDeliver(s.ID), k.Deliver),
	}
	if s.Clients.Mode != topology.ClientsExternal {
		o.app.Limits.JetStreamLimits = unlimited() // shipyard-controller's stream
	}
	o.relay.Limits.JetStreamLimits = unlimited()
	o.app.SigningKeys.Add(public(k.AppUsers))
	o.relay.SigningKeys.Add(public(k.RelayUsers))
	o.deliver.SigningKeys.Add(public(k.DeliverUsers))
	if err := join(o.relay, "capture", capturePrefix+everything, before.Relay, o.app, k.App, now); err != nil {
		return nil, err
	}
	return o, join(o.app, "delivery", "", before.App, o.deliver, k.Deliver, now)
}

// join makes importer receive everything that is published in exporter, under
// local if that is not empty. The export is private: no other account can
// import it without a token that key, the exporter's own, has signed. before
// is the importer's token as it was.
func join(
	importer *jwt.AccountClaims, name, local, before string, exporter *jwt.AccountClaims, key nkeys.KeyPair, now time.Time,
) error {
	a := jwt.NewActivationClaims(importer.Subject)
	a.Name, a.ImportSubject, a.ImportType = name, everything, jwt.Stream
	token, err := signer{key, now}.sign(a, importToken(before, name), 0)
	if err != nil {
		return fmt.Errorf("let %s import from %s: %w", importer.Name, exporter.Name, err)
	}
	exporter.Exports.Add(&jwt.Export{Name: name, Subject: everything, Type: jwt.Stream, TokenReq: true})
	importer.Imports.Add(&jwt.Import{
		Name: name, Account: exporter.Subject, Subject: everything, LocalSubject: jwt.RenamingSubject(local),
		Type: jwt.Stream, Token: token,
	})
	return nil
}

func importToken(account, name string) string {
	c, err := jwt.DecodeAccountClaims(account)
	if err != nil {
		return ""
	}
	i := slices.IndexFunc(c.Imports, func(m *jwt.Import) bool { return m.Name == name })
	if i < 0 {
		return ""
	}
	return c.Imports[i].Token
}

// Revoke returns the token of account FED with users, public keys, taken out:
// what was signed for them until now counts nowhere any more once the servers
// have the new token. key is a signing key of the operator.
func Revoke(fed string, key nkeys.KeyPair, now time.Time, users ...string) (string, error) {
	c, err := jwt.DecodeAccountClaims(fed)
	if err != nil {
		return "", fmt.Errorf("decode account FED: %w", err)
	}
	for _, u := range users {
		c.RevokeAt(u, now)
	}
	return signer{key, now}.sign(c, fed, 0)
}

// Revoked reports whether a token of account FED revokes user, a public key.
func Revoked(fed, user string) bool {
	c, err := jwt.DecodeAccountClaims(fed)
	if err != nil {
		return false
	}
	_, ok := c.Revocations[user]
	return ok
}
