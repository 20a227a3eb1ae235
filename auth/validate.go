package auth

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/topology"
)

// decoded holds the account tokens of a folder.
type decoded struct {
	sys, fed, app, relay, deliver *jwt.AccountClaims
}

func (f *Folder) decodeAccounts(op *jwt.OperatorClaims) (*decoded, error) {
	var d decoded
	var errs []error
	for _, a := range []struct {
		file, token string
		to          **jwt.AccountClaims
	}{
		{FileSys, f.Sys, &d.sys},
		{FileFed, f.Fed, &d.fed},
		{FileApp, f.App, &d.app},
		{FileRelay, f.Relay, &d.relay},
		{FileDeliver, f.Deliver, &d.deliver},
	} {
		c, err := jwt.DecodeAccountClaims(a.token)
		if err == nil && c.Issuer != op.Subject && !slices.Contains(op.SigningKeys, c.Issuer) {
			err = errors.New("is not signed by this operator")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", a.file, err))
		}
		*a.to = c
	}
	return &d, errors.Join(errs...)
}

// check wants the accounts of one stamp, joined as they have to be.
func (d *decoded) check(op *jwt.OperatorClaims, s topology.StampID) error {
	var errs []error
	for _, a := range []struct {
		file, name string
		c          *jwt.AccountClaims
	}{
		{FileSys, AccountSys, d.sys},
		{FileFed, AccountFed, d.fed},
		{FileApp, AccountApp(s), d.app},
		{FileRelay, AccountRelay(s), d.relay},
		{FileDeliver, AccountDeliver(s), d.deliver},
	} {
		if a.c.Name != a.name {
			errs = append(errs, fmt.Errorf("%s is of account %s, not %s", a.file, a.c.Name, a.name))
		}
	}
	if op.SystemAccount != d.sys.Subject {
		errs = append(errs, fmt.Errorf("%s is not the system account of the operator", FileSys))
	}
	if !imports(d.relay, d.app) {
		errs = append(errs, fmt.Errorf("%s does not import the account of %s: nothing would be captured", FileRelay, FileApp))
	}
	if !imports(d.app, d.deliver) {
		errs = append(errs, fmt.Errorf("%s does not import the account of %s: nothing would be delivered", FileApp, FileDeliver))
	}
	return errors.Join(errs...)
}

func imports(a, from *jwt.AccountClaims) bool {
	return slices.ContainsFunc(a.Imports, func(i *jwt.Import) bool { return i.Account == from.Subject })
}

func (f *Folder) checkUsers(d *decoded) error {
	return errors.Join(
		f.checkUser(FileLeafCreds, f.LeafCreds, d.fed, RoleLink),
		f.checkUser(FileFedCreds, f.FedCreds, d.fed, RoleBridge),
	)
}

// checkUser wants a user called like the stamp, who has its role's permissions
// and is not revoked.
func (f *Folder) checkUser(file string, creds []byte, fed *jwt.AccountClaims, role string) error {
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	key, err := jwt.ParseDecoratedUserNKey(creds)
	if err != nil {
		return fmt.Errorf("read seed of %s: %w", file, err)
	}
	scope, _ := fed.SigningKeys.GetScope(c.Issuer)
	s, ok := scope.(*jwt.UserScope)
	switch {
	case public(key) != c.Subject:
		return fmt.Errorf("%s has the seed of another user", file)
	case c.Name != string(f.Stamp):
		return fmt.Errorf("%s is of stamp %s, not %s", file, c.Name, f.Stamp)
	case c.IssuerAccount != fed.Subject || !ok || s.Role != role:
		return fmt.Errorf("%s is not signed by the %s key of %s", file, role, FileFed)
	case fed.IsClaimRevoked(c):
		return fmt.Errorf("%s is revoked by %s", file, FileFed)
	}
	return nil
}

func (f *Folder) checkSeeds(d *decoded) error {
	var errs []error
	for _, k := range []struct {
		file string
		seed []byte
		c    *jwt.AccountClaims
	}{
		{FileAppKey, f.AppSeed, d.app},
		{FileRelayKey, f.RelaySeed, d.relay},
		{FileDeliverKey, f.DeliverSeed, d.deliver},
	} {
		key, err := nkeys.FromSeed(k.seed)
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", k.file, err))
		} else if !k.c.SigningKeys.Contains(public(key)) {
			errs = append(errs, fmt.Errorf("%s is not a signing key of account %s", k.file, k.c.Name))
		}
	}
	return errors.Join(errs...)
}

func (f *Folder) checkCertificates() error {
	ca, err := ParseAuthority(f.CA, nil)
	if err != nil {
		return fmt.Errorf("read %s: %w", FileCA, err)
	}
	var errs []error
	if len(f.PeerCert)+len(f.PeerKey) > 0 {
		errs = append(errs, ca.check(peerPair(f)))
	}
	if f.Hub() {
		errs = append(errs, ca.check(gatewayPair(f)), ca.check(linkPair(f)))
	}
	return errors.Join(errs...)
}

// Hub reports whether the folder has what a hub needs beyond a leaf.
func (f *Folder) Hub() bool {
	return len(f.GatewayCert)+len(f.GatewayKey)+len(f.LinkCert)+len(f.LinkKey) > 0
}
