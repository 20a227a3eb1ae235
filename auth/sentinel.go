package auth

import (
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/ringway/ringway/topology"
)

// Sentinel returns the token of whoever connects to the stamp's local server
// without credentials: by plain NATS, from the sources that the topology
// names, for Keptn's subjects and those of custom routes that begin or end
// here. It is a bearer token, so it must not be logged.
//
// It follows from the Folder and the view alone; its date of issue is that of
// account APP. The gateway makes it anew when one of them changes.
func (f *Folder) Sentinel(v *topology.View) (string, error) {
	if v.Me.ID != f.Stamp {
		return "", fmt.Errorf("make sentinel: identity is of stamp %s, not %s", f.Stamp, v.Me.ID)
	}
	_, c, err := minted(f.App, f.AppSeed, "client", clientUser(v))
	if err != nil {
		return "", err
	}
	c.BearerToken = true
	for _, p := range v.Me.Clients.Sources {
		c.Src.Add(p.String())
	}
	if len(c.Src) == 0 {
		return "", fmt.Errorf("make sentinel: stamp %s names no sources of clients", f.Stamp)
	}
	key, err := nkeys.FromSeed(f.AppSeed)
	if err != nil {
		return "", fmt.Errorf("make sentinel: read signing key: %w", err)
	}
	app, err := jwt.DecodeAccountClaims(f.App)
	if err != nil {
		return "", fmt.Errorf("make sentinel: decode account: %w", err)
	}
	return signer{key, time.Unix(app.IssuedAt, 0)}.sign(c, "", 0)
}
