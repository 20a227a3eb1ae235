package node

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// An Account is one of the NATS accounts of a stamp, by its name in this
// project.
type Account string

// The accounts of a stamp. SYS and FED are the same in the whole federation;
// the others are the stamp's own and live on its local server only.
const (
	SYS     Account = "SYS"     // the servers themselves
	FED     Account = "FED"     // what crosses
	APP     Account = "APP"     // the stamp's clients
	RELAY   Account = "RELAY"   // our capture
	DELIVER Account = "DELIVER" // our last hop
)

// An Identity is what proves who a stamp is: tokens as text, the rest as paths
// of files. The files are the stamp's own folder from `ringway auth issue`.
type Identity struct {
	Operator string             // JWT
	Accounts map[Account]string // JWTs of all five accounts
	Sentinel string             // bearer user JWT for clients without credentials; empty: they are refused

	LeafCreds     string // credentials file of the FED user for links
	ExternalCreds string // credentials file for the leafnode of an external NATS; empty: none

	CA                      string // certificates that links are verified with
	GatewayCert, GatewayKey string // hubs: of this stamp as a gateway, both as server and client
	LinkCert, LinkKey       string // hubs: of the leafnode and WebSocket listeners, also valid for localhost
	PeerCert, PeerKey       string // of the routes between the replicas of a stamp, if it has several
}

// credentials is an Identity whose tokens were decoded and checked.
type credentials struct {
	Identity
	operator *jwt.OperatorClaims
	claims   map[Account]*jwt.AccountClaims
}

// key returns the public key of an account, which is its name in NATS.
func (c *credentials) key(a Account) string { return c.claims[a].Subject }

// decode checks the tokens of id against each other.
func decode(id Identity) (*credentials, error) {
	op, err := jwt.DecodeOperatorClaims(id.Operator)
	if err != nil {
		return nil, fmt.Errorf("decode operator JWT: %w", err)
	}
	c := &credentials{Identity: id, operator: op, claims: map[Account]*jwt.AccountClaims{}}
	var errs []error
	for _, name := range []Account{SYS, FED, APP, RELAY, DELIVER} {
		claims, err := decodeAccount(op, id.Accounts[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("account %s: %w", name, err))
			continue
		}
		c.claims[name] = claims
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if op.SystemAccount != "" && op.SystemAccount != c.key(SYS) {
		return nil, errors.New("account SYS: is not the system account of the operator")
	}
	return c, checkSentinel(c)
}

func decodeAccount(op *jwt.OperatorClaims, token string) (*jwt.AccountClaims, error) {
	if token == "" {
		return nil, errors.New("has no JWT")
	}
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, fmt.Errorf("decode JWT: %w", err)
	}
	if claims.Issuer != op.Subject && !slices.Contains(op.SigningKeys, claims.Issuer) {
		return nil, errors.New("JWT is not signed by the operator")
	}
	results := jwt.CreateValidationResults()
	claims.Validate(results)
	if results.IsBlocking(true) {
		return nil, fmt.Errorf("validate JWT: %w", errors.Join(results.Errors()...))
	}
	return claims, nil
}

// checkSentinel refuses a default user that is not of APP: whoever connects
// without credentials becomes it.
func checkSentinel(c *credentials) error {
	if c.Sentinel == "" {
		return nil
	}
	user, err := jwt.DecodeUserClaims(c.Sentinel)
	if err != nil {
		return fmt.Errorf("decode sentinel JWT: %w", err)
	}
	app := c.claims[APP]
	if user.IssuerAccount != app.Subject && user.Issuer != app.Subject {
		return errors.New("sentinel is not a user of account APP")
	}
	return nil
}

// resolver returns the named accounts as the source of accounts of a server.
// It holds all there is, so a stamp that is cut off can authenticate everyone.
func (c *credentials) resolver(names ...Account) (*server.MemAccResolver, error) {
	r := &server.MemAccResolver{}
	return r, c.store(r, names...)
}

func (c *credentials) store(r server.AccountResolver, names ...Account) error {
	for _, name := range names {
		if err := r.Store(c.key(name), c.Accounts[name]); err != nil {
			return fmt.Errorf("store JWT of account %s: %w", name, err)
		}
	}
	return nil
}

// succeeds refuses to put c in the place of old if it names other accounts or
// is older: an old token could undo a revocation.
func (c *credentials) succeeds(old *credentials) error {
	if c.operator.Subject != old.operator.Subject {
		return errors.New("operator is another one")
	}
	for name, claims := range c.claims {
		was := old.claims[name]
		if claims.Subject != was.Subject {
			return fmt.Errorf("account %s: is another account", name)
		}
		if claims.IssuedAt < was.IssuedAt {
			return fmt.Errorf("account %s: JWT is older than the one in force", name)
		}
	}
	return nil
}

// push makes the claims of c count in a running server: connections that they
// no longer allow are closed.
func (c *credentials) push(srv *server.Server, names ...Account) error {
	if err := c.store(srv.AccountResolver(), names...); err != nil {
		return err
	}
	for _, name := range names {
		acc, err := srv.LookupAccount(c.key(name))
		if err != nil {
			return fmt.Errorf("look up account %s: %w", name, err)
		}
		srv.UpdateAccountClaims(acc, c.claims[name])
	}
	return nil
}

// keys returns the public keys of accounts, without SYS, which the server makes
// first by itself.
func (c *credentials) keys(names ...Account) []string {
	var out []string
	for _, name := range names {
		if name != SYS {
			out = append(out, c.key(name))
		}
	}
	return out
}

// localAccounts and linkAccounts are the accounts that each server knows.
func localAccounts() []Account { return []Account{SYS, FED, APP, RELAY, DELIVER} }
func linkAccounts() []Account  { return []Account{SYS, FED} }
