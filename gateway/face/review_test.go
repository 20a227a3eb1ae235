package face_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/gateway/face"
)

// A kube answers token reviews as a Kubernetes API server does.
type kube struct {
	*httptest.Server
	dir string

	mu    sync.Mutex
	own   string // whose bearer may ask
	users map[string]string
	asked []string // tokens
	code  int      // instead of an answer
}

// openKube knows tokens for audience ringway, by token.
func openKube(t *testing.T, users map[string]string) *kube {
	t.Helper()
	k := &kube{own: "mine", users: users, dir: t.TempDir()}
	k.Server = httptest.NewTLSServer(http.HandlerFunc(k.serve))
	t.Cleanup(k.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate().Raw})
	require.NoError(t, os.WriteFile(filepath.Join(k.dir, "ca.crt"), ca, 0o600))
	k.write(t, "mine\n")
	return k
}

func (k *kube) write(t *testing.T, token string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(k.dir, "token"), []byte(token), 0o600))
}

func (k *kube) serve(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var q struct {
		APIVersion, Kind string
		Spec             struct {
			Token     string
			Audiences []string
		}
	}
	switch {
	case k.code != 0:
		w.WriteHeader(k.code)
		return
	case r.Method != http.MethodPost || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || json.NewDecoder(r.Body).Decode(&q) != nil || q.Kind != "TokenReview":
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Header.Get("Authorization") != "Bearer "+k.own:
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	k.asked = append(k.asked, q.Spec.Token)
	status := map[string]any{"error": "[invalid bearer token, Token has been invalidated]"}
	if user := k.users[q.Spec.Token]; user != "" && slices.Contains(q.Spec.Audiences, "ringway") {
		status = map[string]any{"authenticated": true, "audiences": []string{"ringway"}, "user": map[string]any{"username": user}}
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": q.APIVersion, "kind": q.Kind, "status": status})
}

func (k *kube) fails(code int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code = code
}

func (k *kube) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.asked)
}

const (
	helmToken  = "eyJ.helm.x"
	otherToken = "eyJ.other.x"
	userToken  = "eyJ.user.x"
)

// reviewing is a face that lets in the accounts of keptn-exec.
func reviewing(t *testing.T, edit func(*face.Config)) (*kube, *face.Face) {
	t.Helper()
	k := openKube(t, map[string]string{
		helmToken: "system:serviceaccount:keptn-exec:helm-service", otherToken: "system:serviceaccount:shop:helm-service", userToken: "keptn-exec:helm-service",
	})
	return k, start(t, func(c *face.Config) {
		c.Review = &face.Review{Folder: k.dir, URL: k.URL, Audience: "ringway", Accounts: []string{"keptn-exec/*", "ops/admin"}}
		c.Control = func(w http.ResponseWriter, r *http.Request, c call.Call) {
			fmt.Fprintf(w, "%s %q", c.Plane, r.Header.Get("Authorization"))
		}
		if edit != nil {
			edit(c)
		}
	})
}

// TestAccountsAreLetIn: by x-token or as a bearer, which goes no further.
func TestAccountsAreLetIn(t *testing.T) {
	k, f := reviewing(t, nil)
	for _, head := range []string{"X-Token: " + helmToken, "Authorization: Bearer " + helmToken} {
		for _, path := range []string{"/api/v1/metadata", "/p/helm-service.keptn-exec/api/v1/metadata"} {
			res, body := ask(t, f.Addr(), line("GET "+path, head))
			require.Equal(t, 200, res.StatusCode, body)
			require.Equal(t, `helm-service.keptn-exec ""`, body)
		}
	}
	require.Equal(t, 1, k.count(), "an answer holds for some seconds")
	res, _ := ask(t, f.Addr(), line("GET /p/another/api/v1/metadata", "X-Token: "+helmToken))
	require.Equal(t, 401, res.StatusCode)
}

// TestOtherAccountsAreNot: of another namespace, no account at all, no token.
func TestOtherAccountsAreNot(t *testing.T) {
	for _, token := range []string{otherToken, userToken, "eyJ.nobody.x", "none", ""} {
		_, f := reviewing(t, nil)
		res, body := ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: "+token))
		require.Equal(t, 401, res.StatusCode, "%s: %s", token, body)
		require.Equal(t, "token", res.Header.Get("Ringway-Reason"))
	}
}

// TestGuessesAreNotAsked: what is no JWT never is, and after two that are wrong
// no third, while who is known is let in.
func TestGuessesAreNotAsked(t *testing.T) {
	k, f := reviewing(t, nil)
	res, _ := ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: "+helmToken))
	require.Equal(t, 200, res.StatusCode)
	began, limited := time.Now(), 0
	for i := range 20 {
		res, _ := ask(t, f.Addr(), line("GET /api/v1/metadata", fmt.Sprintf("X-Token: eyJ.guess%d.x", i)))
		if res.StatusCode == 429 {
			limited++
		}
	}
	require.Positive(t, limited)
	require.LessOrEqual(t, k.count(), 1+3+int(time.Since(began).Seconds()))
	res, _ = ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: "+helmToken))
	require.Equal(t, 200, res.StatusCode)
}

// TestNobodyWithoutAnAnswer: where the API does not answer, or not us, nobody is
// let in who was not asked about before, and it counts as no guess.
func TestNobodyWithoutAnAnswer(t *testing.T) {
	k, f := reviewing(t, nil)
	require.NoError(t, f.TryReview(t.Context()))
	k.fails(http.StatusInternalServerError)
	require.ErrorContains(t, f.TryReview(t.Context()), k.URL+" answered 500")
	for range 5 {
		res, body := ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: "+helmToken))
		require.Equal(t, 503, res.StatusCode, body)
		require.Equal(t, "review", res.Header.Get("Ringway-Reason"))
		require.Equal(t, "1", res.Header.Get("Retry-After"))
	}
	k.fails(0)
	k.write(t, "too old")
	res, _ := ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: "+helmToken))
	require.Equal(t, 503, res.StatusCode, "our own token is refused")
	require.ErrorContains(t, f.TryReview(t.Context()), "answered 401")
	k.write(t, "mine")
	res, _ = ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: "+helmToken))
	require.Equal(t, 200, res.StatusCode, "it is read for each question")
}

// TestTunnelAsksForAccounts: rest.tunnel: token.
func TestTunnelAsksForAccounts(t *testing.T) {
	_, f := reviewing(t, func(c *face.Config) { c.Tunnel = face.TunnelToken })
	res, body := ask(t, f.Addr(), line("GET /t/eu-1/k8s/api", "Authorization: Bearer "+helmToken))
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "eu-1 k8s /api [Authorization]", body)
	res, _ = ask(t, f.Addr(), line("GET /t/eu-1/k8s/api", "Authorization: Bearer "+otherToken))
	require.Equal(t, 401, res.StatusCode)
}

// TestTokensBesideAccounts: both may be shown.
func TestTokensBesideAccounts(t *testing.T) {
	k, f := reviewing(t, func(c *face.Config) { c.Tokens = tokens(t, map[string]string{"a": "ta"}) })
	res, body := ask(t, f.Addr(), line("GET /api/v1/metadata", "X-Token: ta"))
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, `a ""`, body)
	require.Zero(t, k.count())
}
