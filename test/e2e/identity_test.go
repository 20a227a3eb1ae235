package e2e_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/auth/keystore"
	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// TestRevokedAndRenewedLive: a leaf's users are revoked and it gets others. Its
// link and its bridge take the new ones from the files; nothing is restarted,
// nothing lost.
func TestRevokedAndRenewedLive(t *testing.T) {
	f := fed.New(t, world, often)
	s := publishing(t, f, 5*time.Millisecond)
	peer(t, f, "control", "wss", func(p gateway.PeerStatus) bool { return !p.Last.IsZero() })
	since := leafLink(t, f, "wss").Since
	require.NoError(t, f.Reissue(func(store *keystore.Store) error {
		if err := store.Revoke("wss", time.Now()); err != nil {
			return err
		}
		return store.Renew("wss")
	}))
	require.Eventually(t, func() bool {
		l := leafLink(t, f, "wss")
		return l.Up && l.Since.After(since)
	}, fed.Patience, time.Millisecond, "the old user is out, the new one in")
	healthy(t, f)
	s.balanced(t)
}

// healthy waits until no stamp has anything to complain of.
func healthy(t *testing.T, f *fed.Fed) {
	t.Helper()
	var causes []string
	require.Eventually(t, func() bool {
		causes = nil
		for _, s := range f.Stamps() {
			st := f.Status(s.ID)
			causes = slices.Concat(causes, st.Causes, st.Topology.Pending)
			for _, p := range st.Peers {
				if p.Err != "" {
					causes = append(causes, p.Err)
				}
			}
		}
		return len(causes) == 0
	}, 2*fed.Patience, 5*time.Millisecond, "%v", &causes)
}

// TestCAChangesLive: first both CAs are trusted, then the certificates are of
// the new one, then the old one is forgotten. Link servers restart by
// themselves, in turn; no client notices and no event is lost.
func TestCAChangesLive(t *testing.T) {
	if beside(t) {
		return
	}
	f := fed.New(t, world, often)
	lost := make(chan error, 10)
	for _, id := range []topology.StampID{"control", "hub"} {
		nc, err := nats.Connect(f.Stamp(id).URL(), nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { lost <- err }))
		require.NoError(t, err)
		defer func() { nc.SetDisconnectErrHandler(nil); nc.Close() }()
	}
	s := publishing(t, f, 5*time.Millisecond)
	var old []byte
	cert, key, err := auth.NewAuthority("next", rand.Reader, time.Now())
	require.NoError(t, err)
	for _, step := range []struct {
		trust func() []byte
		key   func(was []byte) []byte
		renew bool
	}{
		{func() []byte { return slices.Concat(old, cert) }, func(was []byte) []byte { return was }, false},
		{func() []byte { return slices.Concat(cert, old) }, func([]byte) []byte { return key }, true},
		{func() []byte { return cert }, func([]byte) []byte { return key }, false},
	} {
		was := map[topology.StampID]string{}
		for _, s := range f.Stamps() {
			was[s.ID] = f.Status(s.ID).Topology.Identity
		}
		require.NoError(t, f.Reissue(func(store *keystore.Store) error {
			ca, err := store.CA()
			if err != nil {
				return err
			}
			if old == nil {
				old = ca.Cert
			}
			if err := store.UseCA(&keystore.CA{Cert: step.trust(), Key: step.key(ca.Key)}); err != nil || !step.renew {
				return err
			}
			for _, s := range f.Stamps() {
				if err := store.Renew(s.ID); err != nil {
					return err
				}
			}
			return nil
		}))
		for id, before := range was {
			require.Eventually(t, func() bool {
				return f.Status(id).Topology.Identity != before
			}, fed.Patience, 5*time.Millisecond)
		}
		healthy(t, f)
	}
	s.balanced(t)
	require.Empty(t, lost)
}
