package face

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Review says how tokens of Kubernetes ServiceAccounts are checked: by asking
// the API of the cluster (TokenReview, authentication.k8s.io/v1).
type Review struct {
	Folder   string   // token and ca.crt of the account that asks; read for each question
	URL      string   // of the cluster's API
	Audience string   // that a token has to be for
	Accounts []string // whose tokens count: namespace/name, or namespace/*
}

// Bounds of what is asked.
const (
	reviewHolds   = 10 * time.Second // how long an answer holds
	reviewTimeout = 5 * time.Second  // for one question
	maxReviews    = 8                // questions under way at a time
	maxReviewed   = 4096             // tokens that are remembered
	maxAnswer     = 64 << 10         // of an answer, in bytes
)

// errReview reports a token that could not be checked. It counts as wrong, but
// not as an attempt to guess.
var errReview = errors.New("the cluster's API cannot be asked whose token it is")

// A reviewer tells planes by tokens of ServiceAccounts. The plane of account
// name in namespace ns is name.ns. What the API does not confirm is refused.
type reviewer struct {
	cfg  Review
	log  *slog.Logger
	room chan struct{} // one place for each question under way

	mu     sync.Mutex // guards the following fields
	known  map[[sha256.Size]byte]reviewed
	ca     []byte // of which client was made
	client *http.Client
	said   string // the problem that was logged last
}

// reviewed is what is known of a token.
type reviewed struct {
	plane string // empty: not to be let in
	at    time.Time
}

func newReviewer(cfg Review, log *slog.Logger) (*reviewer, error) {
	r := &reviewer{cfg: cfg, log: log, room: make(chan struct{}, maxReviews), known: map[[sha256.Size]byte]reviewed{}}
	_, _, err := r.connection()
	return r, err
}

// seems reports whether a text has the form of such a token: a JWT.
func (r *reviewer) seems(token string) bool {
	return r != nil && len(token) <= maxTokenFile && strings.Count(token, ".") == 2 && strings.HasPrefix(token, "ey")
}

// recall returns what is known of a token, and whether that still holds.
func (r *reviewer) recall(token string, now time.Time) (is reviewed, holds bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	is = r.known[sha256.Sum256([]byte(token))]
	return is, now.Sub(is.at) < reviewHolds
}

// TryReview asks the cluster's API for a review, about the token that asks, and
// returns why that is not answered. It does nothing without Config.Review.
func (f *Face) TryReview(ctx context.Context) error {
	if f.review == nil {
		return nil
	}
	_, own, err := f.review.connection()
	if err == nil {
		_, err = f.review.ask(ctx, own)
	}
	return err
}

// plane asks whose token it is; empty for nobody who may be let in.
func (r *reviewer) plane(ctx context.Context, token string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	select {
	case r.room <- struct{}{}:
		defer func() { <-r.room }()
	case <-ctx.Done():
		return "", errReview
	}
	account, err := r.ask(ctx, token)
	r.tell(err)
	if err != nil {
		return "", errReview
	}
	plane := r.planeOf(account)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxReviewed {
		clear(r.known)
	}
	r.known[sha256.Sum256([]byte(token))] = reviewed{plane, time.Now()}
	return plane, nil
}

// tell logs a problem once.
func (r *reviewer) tell(err error) {
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if problem != "" && problem != r.said {
		r.log.Warn("tokens of accounts not checked", "addr", r.cfg.URL, "err", err)
	}
	r.said = problem
}

// planeOf returns the plane of an account, system:serviceaccount:<ns>:<name>.
func (r *reviewer) planeOf(account string) string {
	rest, ok := strings.CutPrefix(account, "system:serviceaccount:")
	ns, name, both := strings.Cut(rest, ":")
	if !ok || !both || !slices.Contains(r.cfg.Accounts, ns+"/"+name) && !slices.Contains(r.cfg.Accounts, ns+"/*") {
		return ""
	}
	if plane := name + "." + ns; isPlane(plane) {
		return plane
	}
	return ""
}

// A tokenReview is what is sent and comes back: of it what is needed here.
type tokenReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Token     string   `json:"token"`
		Audiences []string `json:"audiences"`
	} `json:"spec"`
	Status struct {
		Authenticated bool     `json:"authenticated"`
		Audiences     []string `json:"audiences"`
		User          struct {
			Username string `json:"username"`
		} `json:"user"`
	} `json:"status,omitzero"`
}

// ask returns the user whose token it is; empty for nobody's.
func (r *reviewer) ask(ctx context.Context, token string) (string, error) {
	client, own, err := r.connection()
	if err != nil {
		return "", err
	}
	q := tokenReview{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"}
	q.Spec.Token, q.Spec.Audiences = token, []string{r.cfg.Audience}
	body, _ := json.Marshal(q) // texts
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.cfg.URL, "/")+"/apis/authentication.k8s.io/v1/tokenreviews", bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("ask for a token review: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+own)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for a token review: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it has been read
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("read token review: %w", err)
	}
	if res.StatusCode != http.StatusCreated && res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask for a token review: %s answered %d: %.200s", r.cfg.URL, res.StatusCode, b)
	}
	var a tokenReview
	if err := json.Unmarshal(b, &a); err != nil {
		return "", fmt.Errorf("read token review: %w", err)
	}
	// A server that knows nothing of audiences names none.
	if !a.Status.Authenticated || !slices.Contains(a.Status.Audiences, r.cfg.Audience) {
		return "", nil
	}
	return a.Status.User.Username, nil
}

// connection returns how to ask, and the token of who asks.
func (r *reviewer) connection() (*http.Client, string, error) {
	own, err := os.ReadFile(filepath.Join(r.cfg.Folder, "token"))
	if err != nil {
		return nil, "", fmt.Errorf("read own token: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(r.cfg.Folder, "ca.crt"))
	if err != nil {
		return nil, "", fmt.Errorf("read CA of the cluster's API: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil || !bytes.Equal(ca, r.ca) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, "", fmt.Errorf("%s holds no certificate", filepath.Join(r.cfg.Folder, "ca.crt"))
		}
		if r.client != nil {
			r.client.CloseIdleConnections()
		}
		r.ca = ca
		r.client = &http.Client{
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 1, IdleConnTimeout: keepTime},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return r.client, strings.TrimSpace(string(own)), nil
}

// close lets go of connections.
func (r *reviewer) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		r.client.CloseIdleConnections()
	}
}
