package keystore_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
)

// TestOnlyOperatorsGiveOrders: a stamp carries out what an operator of its own
// federation has signed, as it was signed, and nothing else; above all nothing
// that another stamp signed with what it has.
func TestOnlyOperatorsGiveOrders(t *testing.T) {
	s := newStore(t, nil)
	hub, x := s.issue("hub"), s.issue("x")
	file, key, err := s.Orderer("anna", time.Hour, s.now)
	require.NoError(t, err)
	order := []byte(`{"verb":"freeze"}`)
	sign := func(file []byte) *auth.SignedOrder { // as whoever does not use our own code would
		token, err := jwt.ParseDecoratedJWT(file)
		require.NoError(t, err)
		key, err := jwt.ParseDecoratedUserNKey(file)
		require.NoError(t, err)
		sig, err := key.Sign(append([]byte("\xffringway order v1\n"), order...))
		require.NoError(t, err)
		return &auth.SignedOrder{Token: token, Order: order, Signature: sig}
	}
	o, err := auth.SignOrder(file, order)
	require.NoError(t, err)
	require.Equal(t, sign(file), o)
	who, err := x.Verify(o, s.now)
	require.NoError(t, err)
	require.Equal(t, auth.Signer{Name: "anna", Key: key}, who)
	text, err := json.Marshal(o)
	require.NoError(t, err)
	pair, err := jwt.ParseDecoratedUserNKey(file)
	require.NoError(t, err)
	seed, err := pair.Seed()
	require.NoError(t, err)
	require.NotContains(t, string(text), string(seed))

	refused := func(o *auth.SignedOrder, at time.Time, why string) {
		t.Helper()
		_, err := x.Verify(o, at)
		require.ErrorContains(t, err, why)
	}
	changed := *o
	changed.Order = []byte(`{"verb":"resume"}`)
	refused(&changed, s.now, "signature is wrong")
	refused(o, s.now.Add(2*time.Hour), "have expired")
	watcher, err := s.Watcher("bob", time.Hour, s.now)
	require.NoError(t, err)
	refused(sign(watcher), s.now, "not an operator's")
	_, err = auth.SignOrder(watcher, order)
	require.ErrorContains(t, err, "not an operator's", "whoever tries is told at once")
	refused(sign(hub.LeafCreds), s.now, "not of this federation")
	refused(sign(hub.FedCreds), s.now, "not of this federation")
	other, _, err := newStore(t, nil).Orderer("anna", time.Hour, s.now)
	require.NoError(t, err)
	refused(sign(other), s.now, "not of this federation")
	borrowed := *sign(watcher) // with somebody else's token
	borrowed.Token = o.Token
	refused(&borrowed, s.now, "signature is wrong")

	// What a NATS server can have a client sign is what JSON can hold.
	var nonce string
	require.NoError(t, json.Unmarshal([]byte("\"\xffringway order v1\\n{}\""), &nonce))
	sig, err := pair.Sign([]byte(nonce))
	require.NoError(t, err)
	refused(&auth.SignedOrder{Token: o.Token, Order: []byte("{}"), Signature: sig}, s.now, "signature is wrong")

	require.NoError(t, s.RevokeUser(key, s.now.Add(time.Minute)))
	_, err = s.issue("x").Verify(o, s.now)
	require.ErrorContains(t, err, "were revoked")
	require.Error(t, s.RevokeUser("anna", s.now))
	_, _, err = s.Orderer("Anna B", time.Hour, s.now)
	require.Error(t, err)
}
