package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"

	"github.com/ringway/ringway/topology"
)

// The files of a folder. It is flat, so that it can be a Kubernetes Secret as
// it is.
const (
	FileOperator = "operator.jwt"

	FileSys     = "sys.jwt"
	FileFed     = "fed.jwt"
	FileApp     = "app.jwt"
	FileRelay   = "relay.jwt"
	FileDeliver = "deliver.jwt"

	FileLeafCreds = "leaf.creds" // the link's user in FED
	FileFedCreds  = "fed.creds"  // the bridge's user in FED

	FileAppKey     = "app.nk" // signing seeds of the stamp's own accounts
	FileRelayKey   = "relay.nk"
	FileDeliverKey = "deliver.nk"

	FileCA          = "ca.crt"
	FileGatewayCert = "gateway.crt" // hubs only, as the three below
	FileGatewayKey  = "gateway.key"
	FileLinkCert    = "link.crt"
	FileLinkKey     = "link.key"
	FilePeerCert    = "peer.crt" // routes between the replicas of a stamp
	FilePeerKey     = "peer.key"
)

// A Folder is everything by which a stamp proves who it is. Most of it is
// secret; String and the other text forms do not show it. A Folder is not
// changed once it is made and is safe for concurrent use.
type Folder struct {
	Stamp topology.StampID

	Operator                        string // JWT
	Sys, Fed, App, Relay, Deliver   string // JWTs of the accounts
	LeafCreds, FedCreds             []byte // credentials: a JWT and a seed
	AppSeed, RelaySeed, DeliverSeed []byte // seeds

	CA                      []byte // PEM, one or more certificates
	GatewayCert, GatewayKey []byte // PEM; empty in a leaf stamp, as the two below
	LinkCert, LinkKey       []byte
	PeerCert, PeerKey       []byte // PEM; empty in a folder of an older version
}

// Files returns the contents of the folder by the names of its files. Files
// that the stamp does not need are not in it.
func (f *Folder) Files() map[string][]byte {
	out := map[string][]byte{}
	for name, to := range f.texts() {
		out[name] = []byte(*to)
	}
	for name, to := range f.blobs() {
		out[name] = bytes.Clone(*to)
	}
	maps.DeleteFunc(out, func(_ string, b []byte) bool { return len(b) == 0 })
	return out
}

// FolderOf returns the Folder with these files. It is in order, but what it
// holds may have expired: see Expirations. Files that it does not know are
// passed over.
func FolderOf(files map[string][]byte) (*Folder, error) {
	f := &Folder{}
	for name, to := range f.texts() {
		*to = strings.TrimSpace(string(files[name]))
	}
	for name, to := range f.blobs() {
		if b := files[name]; len(b) > 0 {
			*to = bytes.Clone(b)
		}
	}
	for _, seed := range []*[]byte{&f.AppSeed, &f.RelaySeed, &f.DeliverSeed} {
		*seed = bytes.TrimSpace(*seed)
	}
	var missing []string
	for _, name := range Files() {
		if len(files[name]) == 0 && !slices.Contains(optional(), name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("identity has no %s", strings.Join(missing, ", "))
	}
	token, err := jwt.ParseDecoratedJWT(f.LeafCreds)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", FileLeafCreds, err)
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", FileLeafCreds, err)
	}
	f.Stamp = topology.StampID(c.Name)
	return f, f.Validate()
}

// Files returns the names of all files that a folder can have, sorted.
func Files() []string {
	f := &Folder{}
	return slices.Sorted(slices.Values(slices.Concat(
		slices.Collect(maps.Keys(f.texts())), slices.Collect(maps.Keys(f.blobs())))))
}

// optional names the files that not every folder has: those of hubs, and those
// that only stamps with replicas need and that older folders lack.
func optional() []string {
	return []string{FileGatewayCert, FileGatewayKey, FileLinkCert, FileLinkKey, FilePeerCert, FilePeerKey}
}

func (f *Folder) texts() map[string]*string {
	return map[string]*string{
		FileOperator: &f.Operator,
		FileSys:      &f.Sys, FileFed: &f.Fed, FileApp: &f.App, FileRelay: &f.Relay, FileDeliver: &f.Deliver,
	}
}

func (f *Folder) blobs() map[string]*[]byte {
	return map[string]*[]byte{
		FileLeafCreds: &f.LeafCreds, FileFedCreds: &f.FedCreds,
		FileAppKey: &f.AppSeed, FileRelayKey: &f.RelaySeed, FileDeliverKey: &f.DeliverSeed,
		FileCA: &f.CA, FileGatewayCert: &f.GatewayCert, FileGatewayKey: &f.GatewayKey,
		FileLinkCert: &f.LinkCert, FileLinkKey: &f.LinkKey,
		FilePeerCert: &f.PeerCert, FilePeerKey: &f.PeerKey,
	}
}

// Hash returns a short digest of everything in the folder. Two folders with
// the same Hash are the same.
func (f *Folder) Hash() string {
	h := sha256.New()
	files := f.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintf(h, "%s %d\n", name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// String names the folder and shows nothing of it.
func (f *Folder) String() string { return "identity of stamp " + string(f.Stamp) }

// GoString is String: secrets do not get into a log by %#v either.
func (f *Folder) GoString() string { return f.String() }

// MarshalText is String, for logs in JSON.
func (f *Folder) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Validate returns everything that does not fit together, joined: all of it
// must be of one operator and one stamp, every key must belong to its token or
// certificate. It does not look at dates.
func (f *Folder) Validate() error {
	if f.Stamp == "" {
		return errors.New("identity names no stamp")
	}
	op, err := jwt.DecodeOperatorClaims(f.Operator)
	if err != nil {
		return fmt.Errorf("read %s: %w", FileOperator, err)
	}
	a, err := f.decodeAccounts(op)
	if err != nil {
		return err
	}
	return errors.Join(a.check(op, f.Stamp), f.checkUsers(a), f.checkSeeds(a), f.checkCertificates())
}
