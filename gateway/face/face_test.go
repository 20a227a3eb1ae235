package face_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/gateway/face"
	"github.com/ringway/ringway/topology"
)

const patience = 10 * time.Second

// everywhere is where the tests' clients connect from.
func everywhere() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// start runs a face that answers who asked for what.
func start(t *testing.T, edit func(*face.Config)) *face.Face {
	t.Helper()
	cfg := face.Config{
		Me: "me", Listen: "127.0.0.1:0", Sources: everywhere,
		Control: func(w http.ResponseWriter, r *http.Request, c call.Call) {
			fmt.Fprintf(w, "%s %s %s %s %t", c.Plane, c.Service, r.Method, c.Target, c.Public)
		},
		Targets: func(w http.ResponseWriter, _ *http.Request, stamp topology.StampID, target, rest string, strip []string) {
			fmt.Fprintf(w, "%s %s %s %v", stamp, target, rest, strip)
		},
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	}
	if edit != nil {
		edit(&cfg)
	}
	f, err := face.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		f.Wait()
	})
	return f
}

// tokens writes a folder of tokens.
func tokens(t *testing.T, of map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for plane, token := range of {
		require.NoError(t, os.WriteFile(filepath.Join(dir, plane), []byte(token), 0o600))
	}
	return dir
}

// ask sends a request and returns the answer, its body read.
func ask(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	return speak(t, conn, request)
}

func speak(t *testing.T, conn net.Conn, request string) (*http.Response, string) {
	t.Helper()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(b)
}

// line makes a request of its first line and what else its head says.
func line(first string, head ...string) string {
	return first + " HTTP/1.1\nHost: gw\nConnection: close\n" + strings.Join(append(head, ""), "\n") + "\n"
}

func TestWhoIsToldByPrefixAndToken(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Tokens = tokens(t, map[string]string{"a": "ta\n", "b": "tb", ".hidden": "th"}) })
	for first, want := range map[string]string{
		"GET /api/v1/metadata":                      "a api-service GET /v1/metadata true",
		"GET /p/a/api//v1/event?x=%2F":              "a api-service GET /v1/event?x=%2F true",
		"PUT //p//a//api//controlPlane//v1//x":      "a shipyard-controller PUT /v1//x true",
		"GET http://other/api/controlPlane/v1/%2f?": "a shipyard-controller GET /v1/%2f? true",
		"GET /api":                 "a api-service GET / true",
		"GET /api?x":               "a api-service GET /?x true",
		"GET /api/controlPlane":    "a shipyard-controller GET / true",
		"GET /api/controlPlanes/x": "a api-service GET /controlPlanes/x true",
		"GET /api/configuration-service/v1/x/%252F?": "a resource-service GET /v1/x/%252F? true",
	} {
		res, body := ask(t, f.Addr(), line(first, "X-Token: ta"))
		require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", first, body)
		require.Equal(t, want, body, first)
	}
	_, body := ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: tb"))
	require.Equal(t, "b api-service GET /v1/metadata true", body)
	res, body := ask(t, f.Addr(), line("POST /p/a/api/controlPlane/v1/x", "X-Token: tb"))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.Equal(t, "text/plain", res.Header.Get("Content-Type")) // as nginx answers
	require.Equal(t, `{"code":401,"message":"unauthenticated or invalid credentials"}`, body)
	res, body = ask(t, f.Addr(), line("GET /p/.hidden/api/v1/metadata", "X-Token: th"))
	require.Equal(t, http.StatusNotFound, res.StatusCode, body)
	res, _ = ask(t, f.Addr(), line("OPTIONS *"))
	require.NotEqual(t, http.StatusInternalServerError, res.StatusCode)
}

func TestTokensAreReadAgain(t *testing.T) {
	dir := tokens(t, map[string]string{"a": "old"})
	f := start(t, func(c *face.Config) { c.Tokens = dir })
	// It may still be called when the test is over, and then says 200.
	code := func(token string) int {
		req, err := http.NewRequest(http.MethodPost, "http://"+f.Addr()+"/api/v1/auth", nil)
		if err != nil {
			return 0
		}
		req.Header.Set("X-Token", token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return http.StatusOK
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, code("old"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("new"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), []byte("bee"), 0o600))
	for _, token := range []string{"new", "bee"} {
		require.Eventually(t, func() bool { return code(token) == http.StatusOK }, patience, 200*time.Millisecond, token)
	}
	require.NotEqual(t, http.StatusOK, code("old"))
	require.NoError(t, os.Remove(filepath.Join(dir, "b")))
	require.Eventually(t, func() bool { return code("bee") != http.StatusOK }, patience, 200*time.Millisecond)
	require.NoError(t, os.RemoveAll(dir)) // the rest stays: nobody said that it is to go
	require.Never(t, func() bool { return code("new") != http.StatusOK }, 1500*time.Millisecond, 300*time.Millisecond)
}

func TestWrongTokensAreLimited(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Tokens = tokens(t, map[string]string{"a": "ta", "b": "tb"}) })
	code := func(path, token string) int {
		res, body := ask(t, f.Addr(), line("GET "+path, "X-Token: "+token))
		if res.StatusCode == http.StatusTooManyRequests {
			require.Equal(t, `{"code":429,"message":"too many requests"}`, body)
			require.Equal(t, "1", res.Header.Get("Retry-After"))
		}
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, code("/api/v1/auth", "ta"))
	var codes []int
	for range 4 {
		codes = append(codes, code("/api/v1/auth", "wrong"))
	}
	require.Equal(t, []int{401, 401, 429, 429}, codes)
	require.Equal(t, http.StatusOK, code("/api/v1/auth", "ta"), "it had shown its token before")
	require.Equal(t, http.StatusTooManyRequests, code("/api/v1/auth", "tb"), "a guess would look like this")
	require.Equal(t, http.StatusOK, code("/p/b/api/v1/auth", "tb"), "plane b has had no failures")
	require.Eventually(t, func() bool { return code("/api/v1/auth", "tb") == http.StatusOK }, patience, 100*time.Millisecond)
}

func TestNamesOfServices(t *testing.T) {
	f := start(t, func(c *face.Config) {
		c.Names = map[string]string{"mongodb-datastore": "127.0.0.1:0", "*": "127.0.0.1:0"}
	})
	for host, want := range map[string]string{
		"shipyard-controller": "shipyard-controller", "SHIPYARD-controller:8080": "shipyard-controller",
		"resource-service.keptn": "resource-service", "configuration-service.keptn.svc": "resource-service",
		"secret-service.keptn.svc.cluster.local.:8080": "secret-service", "api-service": "api-service",
		"mongodb-datastore": "mongodb-datastore", "statistics-service": "statistics-service",
		"shipyard-controller.keptn.example.com": "", "shipyard-controller.a.svc.example.com": "", "x.shipyard-controller": "",
		"shipyard-controller.a.b.svc.cluster.local": "", "api-gateway-nginx": "", "[::1]:80": "",
	} {
		res, body := ask(t, f.Addr(), "GET /v1/x%2F?a HTTP/1.1\nHost: "+host+"\nConnection: close\n\n")
		if want == "" {
			require.Equal(t, http.StatusNotFound, res.StatusCode, "%s: %s", host, body)
			require.Contains(t, body, "/t/<stamp>/<target>/, or Host names a service of Keptn, which \\\""+host)
			continue
		}
		require.Equal(t, " "+want+" GET /v1/x%2F?a false", body, host)
		_, body = ask(t, f.NameAddr("*"), "GET /v1/x HTTP/1.1\nHost: "+host+"\nConnection: close\n\n")
		require.Equal(t, " "+want+" GET /v1/x false", body, host)
	}
	_, body := ask(t, f.NameAddr("mongodb-datastore"), line("GET /event"))
	require.Equal(t, " mongodb-datastore GET /event false", body)
	for _, path := range []string{"/api/v1/metadata", "/t/eu/k8s/"} {
		res, _ := ask(t, f.NameAddr("*"), line("GET "+path))
		require.Equal(t, http.StatusNotFound, res.StatusCode)
	}
}

// TestDenials: what Keptn's own gateway denies is denied here, before anybody
// answers it.
func TestDenials(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Anonymous = true })
	for first, want := range map[string]int{
		"DELETE /api/controlPlane/v1/log": 403, "GET /api/controlPlane/v1/log": 200, "DELETE /api/controlPlane/v1//log": 403,
		"POST /api/mongodb-datastore/event": 403, "GET /api/mongodb-datastore/event": 200, "GET /api/mongodb-datastore/health": 403,
		"POST /api/resource-service/v1/project": 403, "GET /api/configuration-service/v1/project/p/stage/s": 403,
		"GET /api/resource-service/v1/project/p/resource/x": 200, "GET /api/resource-service/v1/project/p/service/s/resource/x": 403,
		"GET /api/statistics/v1/event": 403, "GET /api/resource-service/v1/p/resource/..%2Fx": 400, "GET /api/%2e%2E/x": 400,
		"GET /api/controlPlane/v1/a..b": 200,
	} {
		res, body := ask(t, f.Addr(), line(first))
		require.Equal(t, want, res.StatusCode, "%s: %s", first, body)
		if want == http.StatusForbidden {
			require.Equal(t, "denied", res.Header.Get("Ringway-Reason"))
		}
	}
}

// TestPagesOfOtherSites: a browser behind an address that needs no token does not
// lend it to any page.
func TestPagesOfOtherSites(t *testing.T) {
	f := start(t, func(c *face.Config) { c.Anonymous = true })
	for _, c := range []struct {
		method string
		head   []string
		code   int
	}{
		{"POST", nil, 200},
		{"POST", []string{"Origin: http://evil.example"}, 403},
		{"POST", []string{"Origin: http://gw"}, 200},
		{"POST", []string{"Origin: null"}, 403},
		{"DELETE", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"DELETE", []string{"Sec-Fetch-Site: same-origin", "Origin: http://other"}, 200},
		{"GET", []string{"Sec-Fetch-Site: cross-site"}, 200},
		{"GET", []string{"Origin: http://evil.example", "Upgrade: websocket"}, 403},
	} {
		for _, path := range []string{"/api/v1/x", "/t/eu/k8s/"} {
			res, body := ask(t, f.Addr(), line(c.method+" "+path, c.head...))
			require.Equal(t, c.code, res.StatusCode, "%v %s", c, body)
		}
	}
}

// own is a call.Handler for one service.
type own string

func (o own) ServeCall(w http.ResponseWriter, r *http.Request, c call.Call) bool {
	if c.Service != string(o) {
		return false
	}
	n, err := io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, "own ", n, " ", err)
	return true
}

// TestHandlersComeFirst: they see a bounded body, and what none takes goes on.
func TestHandlersComeFirst(t *testing.T) {
	f := start(t, func(c *face.Config) {
		c.Anonymous, c.MaxRequest = true, 8
		c.Calls = func() []call.Handler { return []call.Handler{own(call.Secret), own(call.API)} }
	})
	_, body := ask(t, f.Addr(), line("POST /api/v1/event", "Content-Length: 4")+"body")
	require.Equal(t, "own 4 <nil>", body)
	_, body = ask(t, f.Addr(), line("POST /api/v1/event", "Transfer-Encoding: chunked")+"9\nlong body\n0\n\n")
	require.Equal(t, "own 8 http: request body too large", body)
	res, _ := ask(t, f.Addr(), line("POST /api/v1/event", "Content-Length: 9")+"long body")
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	_, body = ask(t, f.Addr(), line("GET /api/controlPlane/v1/x"))
	require.Equal(t, " shipyard-controller GET /v1/x true", body)
}

// TestBodiesAreNoRequests: what is left of a body that nobody read is not taken for
// the next request on the connection, however it was answered.
func TestBodiesAreNoRequests(t *testing.T) {
	seen := make(chan string, 100)
	f := start(t, func(c *face.Config) {
		c.Anonymous = true
		c.Control = func(w http.ResponseWriter, r *http.Request, c call.Call) {
			seen <- c.Target
			switch c.Target {
			case "/some":
				_, _ = io.ReadFull(r.Body, make([]byte, 5))
			case "/duplex":
				_ = http.NewResponseController(w).EnableFullDuplex()
			}
			fmt.Fprint(w, "answer")
			if c.Target == "/flushed" {
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	const smuggled = "GET /api/smuggled HTTP/1.1\r\nHost: gw\r\n\r\n"
	for _, target := range []string{"/none", "/some", "/duplex", "/flushed"} {
		for _, body := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\nstart%s", 5+len(smuggled)+1<<10, smuggled),
			fmt.Sprintf("Content-Length: %d\r\n\r\nstart%s", 5+len(smuggled), smuggled),
			"Transfer-Encoding: chunked\r\n\r\n5\r\nstart\r\nzz\r\n" + smuggled,
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n%x\r\n%s\r\n", len(smuggled), smuggled),
		} {
			conn := dial(t, f.Addr(), "POST /api"+target+" HTTP/1.1\r\nHost: gw\r\n"+body)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			b, err := io.ReadAll(res.Body)
			require.NoError(t, err, "%s %q %v", target, body, res.Header)
			require.Equal(t, "answer", string(b))
			require.NoError(t, conn.(*net.TCPConn).CloseWrite()) //nolint:forcetypeassert // it is
			_, err = io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, target, <-seen)
			require.Empty(t, seen, "%s %q", target, body)
		}
	}
}

func TestTunnelAsksForTokens(t *testing.T) {
	f := start(t, func(c *face.Config) {
		c.Tokens, c.Tunnel = tokens(t, map[string]string{"ops": "to"}), face.TunnelToken
	})
	_, body := ask(t, f.Addr(), line("GET /t/eu/k8s/x", "X-Token: to"))
	require.Equal(t, "eu k8s /x [X-Token]", body)
	_, body = ask(t, f.Addr(), line("GET /t/eu/k8s/x", "Authorization: Bearer to"))
	require.Equal(t, "eu k8s /x [Authorization]", body)
	res, _ := ask(t, f.Addr(), line("GET /t/eu/k8s/x", "Authorization: Bearer other"))
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	off := start(t, func(c *face.Config) { c.Tunnel = face.TunnelOff })
	res, _ = ask(t, off.Addr(), line("GET /t/eu/k8s/x"))
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	open := start(t, nil)
	for path, want := range map[string]string{
		"/t/eu/k8s": "eu k8s / []", "/t/eu/k8s?x": "eu k8s /?x []", "/t/eu/k8s/": "eu k8s / []", "/t//eu//k8s//x%2F": "eu k8s //x%2F []",
	} {
		_, body = ask(t, open.Addr(), line("GET "+path, "X-Token: the upstream's"))
		require.Equal(t, want, body)
	}
	for _, path := range []string{"/t", "/t/eu", "/t/eu/", "/t/e*u/k8s/", "/t/%65u/k8s/"} {
		res, body = ask(t, open.Addr(), line("GET "+path))
		require.Equal(t, http.StatusNotFound, res.StatusCode, body)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	first := writeCert(t, cert, key)
	f := start(t, func(c *face.Config) {
		c.Cert, c.Key, c.Anonymous = cert, key, true
		c.Names = map[string]string{"*": "127.0.0.1:0"}
	})
	require.True(t, strings.HasPrefix(f.URL(), "https://"))
	shown := func() string {
		conn, err := tls.Dial("tcp", f.Addr(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test compares it
		require.NoError(t, err)
		defer conn.Close()
		_, body := speak(t, conn, line("GET /api/v1/x"))
		require.Equal(t, " api-service GET /v1/x true", body)
		return string(conn.ConnectionState().PeerCertificates[0].Raw)
	}
	require.Equal(t, first, shown())
	second := writeCert(t, cert, key)
	require.Eventually(t, func() bool { return shown() == second }, patience, 200*time.Millisecond)
	res, body := ask(t, f.Addr(), line("GET /api/v1/x"))
	require.Equal(t, http.StatusBadRequest, res.StatusCode, body) // plain HTTP is refused
	_, body = ask(t, f.NameAddr("*"), "GET /v1/x HTTP/1.1\nHost: secret-service\nConnection: close\n\n")
	require.Equal(t, " secret-service GET /v1/x false", body) // and is what Keptn's programs speak
}
