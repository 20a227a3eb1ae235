package auth_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/auth"
)

func TestFolderIsWhatItsFilesAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hub, leaf := w.folder("hub"), w.folder("x")
	require.Len(t, hub.Files(), len(auth.Files()))
	require.Len(t, leaf.Files(), len(auth.Files())-4)
	require.True(t, hub.Hub())
	require.False(t, leaf.Hub())
	for _, f := range []*auth.Folder{hub, leaf} {
		again, err := auth.FolderOf(f.Files())
		require.NoError(t, err)
		require.Equal(t, f, again)
		require.Equal(t, f.Hash(), again.Hash())
	}
	require.NotEqual(t, hub.Hash(), leaf.Hash())

	files := leaf.Files()
	delete(files, "leaf.creds")
	files["app.nk"] = nil
	_, err := auth.FolderOf(files)
	require.EqualError(t, err, "identity has no app.nk, leaf.creds")

	files = leaf.Files()
	for name := range files {
		files[name] = append(files[name], '\n') // as editors do
	}
	_, err = auth.FolderOf(files)
	require.NoError(t, err)
}

func TestFolderOfTwoStampsIsRefused(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t), newWorld(t)
	hub, x, foreign := w.folder("hub").Files(), w.folder("x").Files(), stranger.folder("hub").Files()
	swap := func(from map[string][]byte, names ...string) map[string][]byte {
		files := map[string][]byte{}
		for n, b := range hub {
			files[n] = b
		}
		for _, n := range names {
			files[n] = from[n]
		}
		return files
	}
	for want, files := range map[string]map[string][]byte{
		"fed.creds is of stamp x, not hub":                          swap(x, "fed.creds"),
		"fed.creds is of stamp hub, not x":                          swap(x, "leaf.creds"),
		"app.nk is not a signing key of account APP-hub":            swap(x, "app.nk"),
		"relay.nk is not a signing key of account RELAY-hub":        swap(x, "relay.nk"),
		"app.jwt is of account APP-x, not APP-hub":                  swap(x, "app.jwt"),
		"relay.jwt does not import the account of app.jwt":          swap(x, "relay.jwt"),
		"app.jwt does not import the account of deliver.jwt":        swap(x, "deliver.jwt"),
		"read operator.jwt: ":                                       {"operator.jwt": []byte("x")},
		"read sys.jwt: is not signed by this operator":              swap(foreign, "operator.jwt"),
		"read fed.jwt: is not signed by this operator":              swap(foreign, "fed.jwt"),
		"leaf.creds is not signed by the link key of fed.jwt":       swap(foreign, "leaf.creds"),
		"verify gateway.crt: x509: certificate signed by unknown":   swap(foreign, "gateway.crt", "gateway.key"),
		"gateway.key does not belong to gateway.crt":                swap(foreign, "gateway.key"),
		"verify link.crt: x509: certificate signed by unknown auth": swap(foreign, "ca.crt"),
		"read link.crt: there is no PEM certificate":                swap(x, "link.crt"),
		"read ca.crt: read certificate of CA: link is not a CA":     {"ca.crt": hub["link.crt"]},
	} {
		all := swap(files)
		for n, b := range files {
			all[n] = b
		}
		_, err := auth.FolderOf(all)
		if strings.Contains(want, "is not a CA") {
			require.ErrorContains(t, err, "is not a CA")
			continue
		}
		require.ErrorContains(t, err, want)
	}
	mixed := swap(nil)
	mixed["leaf.creds"], mixed["fed.creds"] = hub["fed.creds"], hub["leaf.creds"]
	_, err := auth.FolderOf(mixed)
	require.ErrorContains(t, err, "fed.creds is not signed by the bridge key")
}

func TestFolderDoesNotShowSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder("hub")
	items, err := f.Show()
	require.NoError(t, err)
	j, err := json.Marshal(map[string]any{"folder": f, "items": items})
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprint(f), fmt.Sprintf("%+v %#v %s %v", f, f, f, items), string(j)} {
		for _, seed := range [][]byte{f.AppSeed, f.RelaySeed, f.DeliverSeed} {
			require.NotContains(t, text, string(seed))
		}
		require.NotContains(t, text, "SEED")
		require.NotContains(t, text, "PRIVATE KEY")
		require.NotContains(t, text, tokenOf(t, f.LeafCreds))
	}
	require.Equal(t, "identity of stamp hub", f.String())
}

func TestShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	items, err := w.folder("hub").Show()
	require.NoError(t, err)
	var got []string
	for _, i := range items {
		expires := "never"
		if !i.Expires.IsZero() {
			expires = fmt.Sprint(int(i.Expires.Sub(w.now).Hours()+1) / 24)
		}
		got = append(got, fmt.Sprint(i.File, " ", i.Kind, " ", i.Name, " ", expires, " ", i.Hosts))
		require.NotEmpty(t, i.Key)
		require.NotEmpty(t, i.Issuer)
	}
	require.Equal(t, []string{
		"app.jwt account APP-hub never []",
		"ca.crt CA links 3650 []",
		"deliver.jwt account DELIVER-hub never []",
		"fed.creds user hub never []",
		"fed.jwt account FED never []",
		"gateway.crt certificate hub 365 [localhost hub.example.com 127.0.0.1 ::1]",
		"leaf.creds user hub 365 []",
		"link.crt certificate hub 365 [localhost ws.example.com 127.0.0.1 ::1 2001:db8::1]",
		"operator.jwt operator test never []",
		"peer.crt certificate hub 365 [peer.hub.ringway.internal]",
		"relay.jwt account RELAY-hub never []",
		"sys.jwt account SYS never []",
	}, got)
}

func TestExpirationsComeSoonestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	items, err := auth.Expirations(w.folder("x"), w.folder("hub"))
	require.NoError(t, err)
	var got []string
	for n, i := range items {
		got = append(got, i.Name+" "+i.File)
		require.False(t, i.Expired(w.now))
		require.True(t, i.Expired(w.now.Add(auth.AuthorityLife)))
		if n > 0 {
			require.False(t, i.Expires.Before(items[n-1].Expires))
		}
	}
	require.ElementsMatch(t, []string{
		"hub gateway.crt", "hub leaf.creds", "hub link.crt", "hub peer.crt", "x leaf.creds", "x peer.crt", "links ca.crt", "links ca.crt",
	}, got)
	require.Equal(t, []string{"links ca.crt", "links ca.crt"}, got[6:])
}
