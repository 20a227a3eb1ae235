package e2e_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
)

// keptnToken is what the control plane asks for; no stamp but its own has it.
const keptnToken = "keptn-api-token"

// keptn is an upstream that says what it was asked.
type keptn struct {
	*httptest.Server
	last chan *http.Request
}

// upstream answers with its own name and what the first line of a request said.
func upstream(t *testing.T, name string, h http.HandlerFunc) *keptn {
	t.Helper()
	k := &keptn{last: make(chan *http.Request, 64)}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case k.last <- r:
		default:
		}
		if h != nil {
			h(w, r)
			return
		}
		fmt.Fprintf(w, "%s %s %s", name, r.Method, r.RequestURI)
	}))
	t.Cleanup(k.Close)
	return k
}

// restWorld is the world with an API at each form of Keptn's: the public one, and
// that of shipyard-controller and resource-service.
func restWorld(t *testing.T, public, shipyard, resource string, options ...func(*gateway.Options)) *fed.Fed {
	t.Helper()
	const without = "controlPlanes: [{name: keptn, stamp: control}]"
	require.Contains(t, world, without)
	with := fmt.Sprintf("controlPlanes: [{name: keptn, stamp: control, api: {url: %q, services: {shipyard-controller: %q, resource-service: %q}}}]",
		public+"/api", shipyard, resource)
	with += fmt.Sprintf("\ntargets:\n  - {name: k8s, stamp: wss, url: %q, callers: {stamps: [tls]}, upgrade: true}\n"+
		"  - {name: read, stamp: wss, url: %q, methods: [GET], paths: [/api], deny: [/api/v1/secrets]}\n", resource, resource)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	file("tokens/script", "script-token\n")
	file("tokens/jes", "jes-token\n")
	token := file("keptn", keptnToken+"\n")
	return fed.New(t, strings.Replace(world, without, with, 1), append([]func(*gateway.Options){func(o *gateway.Options) {
		o.Rest.Tokens = filepath.Join(dir, "tokens")
		if o.Stamp == "control" {
			o.Targets = map[string]gateway.TargetFiles{"keptn-keptn": {Credentials: map[string]string{"x-token": token}}}
		}
	}}, options...)...)
}

// plain is a client that unpacks and follows nothing.
func plain(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: fed.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// spoken sends a request as it is written, on a connection of its own, and
// returns the answer's status and body.
func spoken(t *testing.T, url, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(fed.Patience)))
	_, err = io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(b)
}

// fetch asks for a target as it is, from a host, perhaps with a token.
func fetch(t *testing.T, url, host, target, token string) (int, string) {
	t.Helper()
	if token != "" {
		token = "X-Token: " + token + "\n"
	}
	res, body := spoken(t, url, "GET "+target+" HTTP/1.1\nHost: "+host+"\nConnection: close\n"+token+"\n")
	return res.StatusCode, body
}

// TestRESTFaces: every public path and every name in the cluster leads to the
// right service of the control plane in the other stamp, byte for byte.
func TestRESTFaces(t *testing.T) {
	public, shipyard, resource := upstream(t, "public", nil), upstream(t, "shipyard", nil), upstream(t, "resource", nil)
	f := restWorld(t, public.URL, shipyard.URL, resource.URL)
	at := f.Stamp("tls").RESTURL()
	for _, c := range []struct{ host, target, token, want string }{
		// What the control plane names a service for goes there, the rest to the public form.
		{"gw", "/api/controlPlane/v1/uniform/registration?x", "script-token", "shipyard GET /v1/uniform/registration?x"},
		{"gw", "/p/script/api/controlPlane/v1/uniform/registration", "script-token", "shipyard GET /v1/uniform/registration"},
		{"gw", "/p/jes/api/resource-service/v1/project/p/resource/helm%252Fc.tgz?", "jes-token", "resource GET /v1/project/p/resource/helm%252Fc.tgz?"},
		{"gw", "/api/configuration-service/v1/project/p/resource/a%2Fb", "jes-token", "resource GET /v1/project/p/resource/a%2Fb"},
		{"gw", "/api/secrets/v1/secret", "jes-token", "public GET /api/secrets/v1/secret"},
		{"gw", "/api/mongodb-datastore/event?project=p", "jes-token", "public GET /api/mongodb-datastore/event?project=p"},
		{"gw", "//api//v1/metadata//x", "jes-token", "public GET /api/v1/metadata//x"},
		{"api-gateway-nginx.keptn:80", "/api/v1/import", "jes-token", "public GET /api/v1/import"},
		{"shipyard-controller:8080", "/v1/uniform/registration", "", "shipyard GET /v1/uniform/registration"},
		{"Shipyard-Controller.keptn.svc.cluster.local:8080", "/v1/project//p?", "", "shipyard GET /v1/project//p?"},
		{"resource-service.keptn", "/v1/project/p/stage/s/service/c/resource/helm%2Fc.tgz?gitCommitID=", "", "resource GET /v1/project/p/stage/s/service/c/resource/helm%2Fc.tgz?gitCommitID="},
		{"configuration-service", "/v1/project/p/resource/x", "", "resource GET /v1/project/p/resource/x"},
		{"mongodb-datastore", "/event", "", "public GET /api/mongodb-datastore/event"},
		{"secret-service", "/v1/secret", "", "public GET /api/secrets/v1/secret"},
		{"api-service", "/v1/import", "", "public GET /api/v1/import"},
		{"gw", "/t/wss/k8s/api/v1/pods?watch=1&x", "", "resource GET /api/v1/pods?watch=1&x"},
		{"gw", "/t/wss/k8s//a%2F%252f?", "", "resource GET //a%2F%252f?"},
		{"gw", "/t/wss/k8s", "", "resource GET /"},
		{"gw", "/t/wss/read/api/v1/pods", "", "resource GET /api/v1/pods"},
	} {
		code, body := fetch(t, at, c.host, c.target, c.token)
		require.Equal(t, http.StatusOK, code, "%v: %s", c, body)
		require.Equal(t, c.want, body, c)
	}
	for _, k := range []*keptn{public, shipyard, resource} {
		for range len(k.last) {
			want := ""
			if k == public {
				want = keptnToken // added at the far edge; ours never cross
			}
			require.Equal(t, want, (<-k.last).Header.Get("X-Token"))
		}
	}
	for _, c := range []struct {
		host, target, token string
		code                int
		body                string
	}{
		{"gw", "/api/controlPlane/v1/project", "", 401, `{"code":401,"message":"unauthenticated or invalid credentials"}`},
		{"gw", "/api/v1/metadata", "", 401, `{"code":401,"message":"unauthenticated for invalid credentials"}`},
		{"gw", "/api/v1/auth", "jes-token", 200, ``},
		{"gw", "/p/script/api/v1/metadata", "jes-token", 401, `{"code":401,"message":"incorrect api key auth"}`},
		{"gw", "/api/resource-service/v1/project", "jes-token", 403, `{"code":403,"message":"Keptn's gateway does not offer this"}`},
		{"gw", "/api/x/../controlPlane/v1/log", "jes-token", 400, `{"code":400,"message":"the path of the request is none of Keptn's"}`},
		{"resource-service", "/v1/project/p/stage", "", 403, `{"code":403,"message":"gateway of control: stamp tls may not GET \"/v1/project/p/stage\" of target keptn-keptn-resource-service"}`},
		{"gw", "/t/nowhere/k8s/", "", 404, `{"code":404,"message":"gateway of tls: the topology has no stamp \"nowhere\""}`},
		{"gw", "/t/wss/nothing/", "", 404, `{"code":404,"message":"gateway of wss: the stamp has no target \"nothing\""}`},
		{"gw", "/t/wss/read/api/v1/secrets/x", "", 403, `{"code":403,"message":"gateway of wss: stamp tls may not GET \"/api/v1/secrets/x\" of target read"}`},
		{"gw", "/t/wss/read/metrics", "", 403, `{"code":403,"message":"gateway of wss: stamp tls may not GET \"/metrics\" of target read"}`},
		{"gw", "/other", "", 404, `{"code":404,"message":"nothing is served at this path: it is below /api/, /p/<plane>/api/ or /t/<stamp>/<target>/, or Host names a service of Keptn, which \"gw\" does not"}`},
	} {
		code, body := fetch(t, at, c.host, c.target, c.token)
		require.Equal(t, c.code, code, "%v: %s", c, body)
		require.Equal(t, c.body, body, c)
	}
	code, _ := fetch(t, f.Stamp("hub").RESTURL(), "gw", "/t/wss/k8s/", "")
	require.Equal(t, http.StatusForbidden, code, "only tls may call")
	code, body := fetch(t, f.Stamp("control").RESTURL(), "shipyard-controller", "/v1/project", "")
	require.Equal(t, http.StatusOK, code, body) // its own, in the same way
}

// TestRESTBodies: what Keptn's clients send and get crosses whole, and what is
// too long or broken off does not.
func TestRESTBodies(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(big)
	require.NoError(t, z.Close())
	up := upstream(t, "", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/big":
			_, _ = w.Write(big)
		case "/v1/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		case "/v1/409", "/v1/424", "/v1/404":
			code := 0
			_, _ = fmt.Sscan(r.URL.Path[4:], &code)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"code":%d,"message":"Resource not found"}`, code)
		default:
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, r.ContentLength, r.TransferEncoding)
		}
	})
	f := restWorld(t, up.URL, up.URL, up.URL)
	at, hc := f.Stamp("tls").RESTURL(), plain(t)
	ask := func(method, path string, body io.Reader) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, at+path, body)
		require.NoError(t, err)
		req.Host = "shipyard-controller"
		req.Header.Set("Accept-Encoding", "gzip")
		res, err := hc.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res, string(b)
	}
	_, body := ask("GET", "/v1/big", nil)
	require.Len(t, body, len(big))
	res, body := ask("GET", "/v1/gzip", nil)
	require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
	require.Equal(t, zipped.String(), body)
	for _, code := range []int{404, 409, 424} {
		res, body = ask("GET", fmt.Sprint("/v1/", code), nil)
		require.Equal(t, code, res.StatusCode)
		require.Equal(t, fmt.Sprintf(`{"code":%d,"message":"Resource not found"}`, code), body)
	}
	five, six := make([]byte, 5<<20), make([]byte, 6<<20)
	_, body = ask("POST", "/v1/post", bytes.NewReader(five))
	require.Equal(t, "5242880 5242880 []", body)
	_, body = ask("POST", "/v1/post", io.MultiReader(bytes.NewReader(five))) // of unknown length
	require.Equal(t, "5242880 -1 [chunked]", body)
	for _, six := range []io.Reader{bytes.NewReader(six), io.MultiReader(bytes.NewReader(six))} {
		res, body = ask("POST", "/v1/post", six)
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
		require.Contains(t, body, `"code":413,"message":"`)
	}
}

// TestRESTTruncatedBodies: the connection ends in the middle of a chunk, and the
// upstream does not take it for a whole body.
func TestRESTTruncatedBodies(t *testing.T) {
	got := make(chan error, 2)
	up := upstream(t, "", func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadFull(r.Body, make([]byte, 5))
		got <- err
		_, err = io.Copy(io.Discard, r.Body)
		got <- err
	})
	at := restWorld(t, up.URL, up.URL, up.URL).Stamp("tls").RESTURL()
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST /v1/truncated HTTP/1.1\r\nHost: shipyard-controller\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n")
	require.NoError(t, err)
	told := func() error {
		select {
		case err := <-got:
			return err
		case <-time.After(fed.Patience):
			require.Fail(t, "the upstream was not told")
			return nil
		}
	}
	require.NoError(t, told())
	_, err = io.WriteString(conn, "ffff\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Error(t, told())
}

// TestRESTWithoutALink: a call across a link that is cut fails at once, says
// why in Keptn's shape and when to try again; it works again when the link does.
func TestRESTWithoutALink(t *testing.T) {
	up := upstream(t, "keptn", nil)
	f := restWorld(t, up.URL, up.URL, up.URL)
	at := f.Stamp("tls").RESTURL()
	f.Cut("tls")
	f.Down("tls")
	res, body := spoken(t, at, "GET /v1/project HTTP/1.1\nHost: shipyard-controller\nConnection: close\n\n")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, `{"code":503,"message":"gateway of tls: no route to stamp control: the link is down, or nobody serves there"}`, body)
	require.Equal(t, "5", res.Header.Get("Retry-After"))
	require.Equal(t, "no-route", res.Header.Get("Ringway-Reason"))
	code, _ := fetch(t, at, "gw", "/api/v1/auth", "jes-token")
	require.Equal(t, http.StatusOK, code)
	f.Heal("tls")
	require.Eventually(t, func() bool {
		code, _ := fetch(t, at, "shipyard-controller", "/v1/project", "")
		return code == http.StatusOK
	}, fed.Patience, 10*time.Millisecond)
}
