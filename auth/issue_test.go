package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
	"github.com/ringway/ringway/topology"
)

func claims(t testing.TB, token string) *jwt.AccountClaims {
	t.Helper()
	c, err := jwt.DecodeAccountClaims(token)
	require.NoError(t, err)
	return c
}

// TestClaims compares what every token says with testdata; UPDATE=1 rewrites
// it.
func TestClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []topology.StampID{"hub", "x", "z"} {
		f := w.folder(id)
		tokens := map[string]string{
			"app": f.App, "relay": f.Relay, "deliver": f.Deliver, "sentinel": w.sentinel(f),
			"link": tokenOf(t, f.LeafCreds), "bridge": tokenOf(t, f.FedCreds),
		}
		for _, u := range []auth.LocalUser{auth.UserRelay, auth.UserDeliver} {
			creds, err := f.LocalCreds(u, w.now)
			require.NoError(t, err)
			tokens["user "+string(u)] = tokenOf(t, creds)
		}
		if id == "hub" {
			tokens["operator"], tokens["sys"], tokens["fed"] = f.Operator, f.Sys, f.Fed
		}
		out := map[string]any{}
		for name, token := range tokens {
			out[name] = w.plain(token)
		}
		golden(t, string(id)+".json", w.named(id, indented(t, out)))
	}
}

func golden(t testing.TB, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") == "1" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func tokenOf(t testing.TB, creds []byte) string {
	t.Helper()
	token, err := jwt.ParseDecoratedJWT(creds)
	require.NoError(t, err)
	return token
}

// plain returns the claims of a token, with dates as distances from now.
func (w *world) plain(token string) map[string]any {
	w.t.Helper()
	c, err := jwt.Decode(token)
	require.NoError(w.t, err)
	b, err := json.Marshal(c)
	require.NoError(w.t, err)
	m := map[string]any{}
	require.NoError(w.t, json.Unmarshal(b, &m))
	delete(m, "jti")
	for _, k := range []string{"iat", "exp"} {
		if v, ok := m[k].(float64); ok {
			m[k] = time.Unix(int64(v), 0).Sub(w.now.Truncate(time.Second)).String()
		}
	}
	nested, _ := m["nats"].(map[string]any)
	imports, _ := nested["imports"].([]any)
	for _, i := range imports {
		one, ok := i.(map[string]any)
		require.True(w.t, ok)
		text, ok := one["token"].(string)
		require.True(w.t, ok)
		one["token"] = w.plain(text)
	}
	return m
}

// named puts names in the place of keys.
func (w *world) named(id topology.StampID, text string) string {
	w.t.Helper()
	k := w.keys(id)
	for name, key := range map[string]nkeys.KeyPair{
		"operator": k.Operator, "SYS": k.Sys, "FED": k.Fed, "link": k.Link, "bridge": k.Bridge,
		"APP": k.App, "RELAY": k.Relay, "DELIVER": k.Deliver,
		"APP users": k.AppUsers, "RELAY users": k.RelayUsers, "DELIVER users": k.DeliverUsers,
		"leaf user": k.LeafUser, "bridge user": k.BridgeUser,
	} {
		text = strings.ReplaceAll(text, public(w.t, key), "<"+name+">")
	}
	op, err := jwt.DecodeOperatorClaims(w.operator)
	require.NoError(w.t, err)
	text = strings.ReplaceAll(text, op.Subject, "<identity>")
	// The keys of users that gateways make follow from random ones.
	text = regexp.MustCompile(`"sub": "U[A-Z0-9]+"`).ReplaceAllString(text, `"sub": "<derived>"`)
	return sortedKeys(w.t, text)
}

// sortedKeys sorts signing keys by their names: tokens have them sorted by
// public keys, which are random.
func sortedKeys(t testing.TB, text string) string {
	t.Helper()
	var m map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &m))
	for _, c := range m {
		n, _ := c["nats"].(map[string]any)
		if keys, ok := n["signing_keys"].([]any); ok {
			slices.SortFunc(keys, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	return indented(t, m)
}

func indented(t testing.TB, v any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(v))
	return b.String()
}

func TestSameOrderGivesSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.folder("x"), w.folder("x")
	two.PeerCert, two.PeerKey = one.PeerCert, one.PeerKey // a certificate has a key of its own each time
	require.Equal(t, one.Files(), two.Files())
	require.Equal(t, one.Hash(), two.Hash())
	require.Equal(t, w.sentinel(one), w.sentinel(two))
	for _, u := range []auth.LocalUser{auth.UserFed, auth.UserRelay, auth.UserDeliver} {
		a, err := one.LocalCreds(u, w.now)
		require.NoError(t, err)
		b, err := two.LocalCreds(u, w.now)
		require.NoError(t, err)
		require.Equal(t, a, b)
	}
	_, err := one.LocalCreds("nobody", w.now)
	require.ErrorContains(t, err, `there is no "nobody"`)
}

func TestWhatIsIssuedAgainIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []topology.StampID{"hub", "x"} {
		first := w.folder(id)
		o := w.order(id)
		o.Before, o.Now = *first, w.now.Add(200*24*time.Hour)
		require.Equal(t, first.Files(), w.issue(o).Files(), id)
	}
}

func TestIssueRenewsWhatIsInItsLastThird(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.folder("hub")
	o := w.order("hub")
	o.Before, o.Now = *first, w.now.Add(300*24*time.Hour)
	second := w.issue(o)
	require.Equal(t, []string{"gateway.crt", "gateway.key", "leaf.creds", "link.crt", "link.key", "peer.crt", "peer.key"}, changed(first, second))
	items, err := auth.Expirations(second)
	require.NoError(t, err)
	require.False(t, items[0].Expired(w.now.Add(600*24*time.Hour)))
	require.Equal(t, changed(first, second)[0], "gateway.crt")
}

func TestIssueChangesOnlyWhatSaysSomethingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		edit func(*auth.Order)
		want []string
	}{
		"nothing":        {func(*auth.Order) {}, nil},
		"external NATS":  {func(o *auth.Order) { o.Stamp.Clients.Mode = topology.ClientsExternal }, []string{"app.jwt"}},
		"another host":   {func(o *auth.Order) { o.Stamp.Link.Advertise.Gateway = "new.example.com:7222" }, []string{"gateway.crt", "gateway.key"}},
		"a leaf now":     {func(o *auth.Order) { o.Stamp.Link.Kind = topology.LinkLeaf }, []string{"gateway.crt", "gateway.key", "link.crt", "link.key"}},
		"new user":       {func(o *auth.Order) { o.Keys.LeafUser = pair(t, nkeys.PrefixByteUser) }, []string{"leaf.creds"}},
		"damaged before": {func(o *auth.Order) { o.Before.Relay += "x" }, []string{"relay.jwt"}},
	} {
		first := w.folder("hub")
		o := w.order("hub")
		stamp := *o.Stamp
		o.Stamp, o.Before, o.Now = &stamp, *first, w.now.Add(time.Hour)
		tc.edit(&o)
		require.Equal(t, tc.want, changed(first, w.issue(o)), name)
	}
}

// changed returns the names of the files that differ.
func changed(a, b *auth.Folder) []string {
	x, y := a.Files(), b.Files()
	var out []string
	for _, name := range auth.Files() {
		if !bytes.Equal(x[name], y[name]) {
			out = append(out, name)
		}
	}
	return out
}

func TestRevocationsStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("x")
	user := public(t, w.keys("x").LeafUser)
	fed, err := auth.Revoke(f.Fed, w.shared.Operator, time.Now(), user)
	require.NoError(t, err)
	require.NotEqual(t, f.Fed, fed)
	o := w.order("hub")
	o.Before.Fed = fed
	require.Equal(t, fed, w.issue(o).Fed)

	o = w.order("x")
	o.Before.Fed = fed
	_, err = auth.Issue(o)
	require.ErrorContains(t, err, "leaf.creds is revoked by fed.jwt")
	o.Keys.LeafUser = pair(t, nkeys.PrefixByteUser)
	require.Equal(t, fed, w.issue(o).Fed)
}
