package node_test

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway/node"
	"github.com/ringway/ringway/topology"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	fixed := func(id topology.StampID, n int) *topology.Stamp {
		s := hub(t, id)
		s.Link.Advertise = topology.Advertise{
			Gateway:  fmt.Sprintf("%s.example.com:%d", id, 7222+n),
			Leafnode: fmt.Sprintf("%s.example.com:%d", id, 7422+n), WebSocket: string(id) + ".example.com:443",
		}
		return s
	}
	proxied := leaf("proxied", topology.TransportWSS, "b", "a")
	proxied.Link.Proxy = &topology.Proxy{URL: &url.URL{Scheme: "http", Host: "proxy.example.com:3128"}}
	external := leaf("external", topology.TransportTLS, "a")
	external.Clients = topology.Clients{
		Mode: topology.ClientsExternal, Leafnode: "nats-leaf://nats.default.svc:7422",
		Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	w := newWorld(t, fixed("a", 0), fixed("b", 1), leaf("plain", topology.TransportTLS, "a", "b"), proxied, external)
	proxied.Link.Proxy.CredentialsFile = w.write(w.dir, "proxy", []byte("me:secret\n"))
	for _, id := range []topology.StampID{"a", "plain", "proxied", "external"} {
		t.Run(string(id), func(t *testing.T) {
			cfg := w.config(id)
			cfg.Listen = node.Listen{Clients: ":4222", Gateway: ":7222", Leafnode: "127.0.0.1:7422", WebSocket: ":8443"}
			n, err := node.New(cfg)
			require.NoError(t, err)
			local, link, err := n.Options()
			require.NoError(t, err)
			got := "local server\n" + dump(local)
			if link != nil {
				got += "\nlink server\n" + dump(link)
			}
			for random, name := range w.names(id) {
				got = strings.ReplaceAll(got, random, name)
			}
			golden(t, string(id)+".golden", got)
		})
	}
}

// golden compares got with a file; UPDATE=1 rewrites the file instead.
func golden(t *testing.T, name, got string) {
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

// dump writes every option that is set, one a line, sorted.
func dump(o *server.Options) string {
	var lines []string
	walk(reflect.ValueOf(*o), "", &lines)
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

func walk(v reflect.Value, path string, lines *[]string) {
	if v.IsZero() {
		return
	}
	if text, ok := word(v, path); ok {
		*lines = append(*lines, "  "+path+": "+text)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		walk(v.Elem(), path, lines)
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i), lines)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				walk(v.Field(i), strings.TrimPrefix(path+"."+f.Name, "."), lines)
			}
		}
	default:
		*lines = append(*lines, fmt.Sprintf("  %s: %v", path, v))
	}
}

// word returns values that are said in one word.
func word(v reflect.Value, path string) (string, bool) {
	switch x := v.Interface().(type) {
	case *url.URL:
		return x.String(), true
	case time.Duration:
		return x.String(), true
	case *jwt.OperatorClaims:
		return x.Name, true
	case *tls.Config:
		return fmt.Sprintf("min=%s ask=%v server=%q roots=%t clientCAs=%t cert=%t clientCert=%t", tls.VersionName(x.MinVersion),
			x.ClientAuth, x.ServerName, x.RootCAs != nil, x.ClientCAs != nil, x.GetCertificate != nil, x.GetClientCertificate != nil), true
	}
	switch {
	case path == "AccountResolver":
		return fmt.Sprintf("%T", v.Interface()), true
	case path == "DefaultSentinel" || strings.HasSuffix(path, "Password"):
		return "set", true
	}
	return "", false
}
