package auth

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
)

// An Item is one token or certificate of a Folder, without its secrets.
type Item struct {
	File    string    `json:"file"`
	Kind    string    `json:"kind"` // operator, account, user, CA or certificate
	Name    string    `json:"name"`
	Key     string    `json:"key"`    // public key; for certificates the serial number in hex
	Issuer  string    `json:"issuer"` // public key, or the name of the CA
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Hosts   []string  `json:"hosts,omitempty"`  // of a certificate
}

// Expired reports whether the item has no value any more at now.
func (i *Item) Expired(now time.Time) bool { return !i.Expires.IsZero() && !now.Before(i.Expires) }

// Show returns what is in the folder, in the order of the files' names. Seeds
// are not in it.
func (f *Folder) Show() ([]Item, error) {
	var out []Item
	files := f.Files()
	for _, name := range Files() {
		b := files[name]
		var items []Item
		var err error
		switch name {
		case FileAppKey, FileRelayKey, FileDeliverKey, FileGatewayKey, FileLinkKey, FilePeerKey:
			continue
		case FileLeafCreds, FileFedCreds:
			var token string
			if token, err = jwt.ParseDecoratedJWT(b); err == nil {
				items, err = tokenItem(token)
			}
		case FileCA, FileGatewayCert, FileLinkCert, FilePeerCert:
			if len(b) > 0 {
				items, err = certificateItems(b)
			}
		default:
			items, err = tokenItem(string(b))
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for i := range items {
			items[i].File = name
		}
		out = append(out, items...)
	}
	return out, nil
}

func tokenItem(token string) ([]Item, error) {
	c, err := jwt.Decode(token)
	if err != nil {
		return nil, err
	}
	d := c.Claims()
	i := Item{
		Kind: string(c.ClaimType()), Name: d.Name, Key: d.Subject, Issuer: d.Issuer, Issued: time.Unix(d.IssuedAt, 0).UTC(),
	}
	if d.Expires != 0 {
		i.Expires = time.Unix(d.Expires, 0).UTC()
	}
	return []Item{i}, nil
}

func certificateItems(text []byte) ([]Item, error) {
	certs, err := certificates(text)
	if err != nil {
		return nil, err
	}
	var out []Item
	for _, c := range certs {
		out = append(out, Item{
			Kind: kindOf(c), Name: c.Subject.CommonName, Key: fmt.Sprintf("%x", c.SerialNumber),
			Issuer: c.Issuer.CommonName, Issued: c.NotBefore, Expires: c.NotAfter, Hosts: hostsOf(c),
		})
	}
	return out, nil
}

func kindOf(c *x509.Certificate) string {
	if c.IsCA {
		return "CA"
	}
	return "certificate"
}

func hostsOf(c *x509.Certificate) []string {
	out := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// Expirations returns what is in folders and expires one day, soonest first.
func Expirations(folders ...*Folder) ([]Item, error) {
	var out []Item
	for _, f := range folders {
		items, err := f.Show()
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", f, err)
		}
		for _, i := range items {
			if !i.Expires.IsZero() {
				out = append(out, i)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Item) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Name, b.Name), cmp.Compare(a.File, b.File))
	})
	return out, nil
}
