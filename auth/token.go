package auth

import (
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// A signer signs tokens with one key at one time.
type signer struct {
	key nkeys.KeyPair
	now time.Time
}

// sign returns the token of c, valid for life, or for ever if life is 0. It
// returns old instead if that says the same and has more than a third of its
// life left: tokens do not change without a reason.
func (s signer) sign(c jwt.Claims, old string, life time.Duration) (string, error) {
	d := c.Claims()
	d.Expires = 0
	if life > 0 {
		d.Expires = s.now.Add(life).Unix()
	}
	token, err := s.encode(c)
	if err != nil {
		return "", fmt.Errorf("sign token of %s: %w", d.Name, err)
	}
	if old != "" && sameClaims(old, token) && !s.due(old, life) {
		return old, nil
	}
	return token, nil
}

// due reports whether a token is to be replaced.
func (s signer) due(token string, life time.Duration) bool {
	c, err := jwt.Decode(token)
	if err != nil {
		return true
	}
	expires := c.Claims().Expires
	if life == 0 || expires == 0 {
		return (life == 0) != (expires == 0)
	}
	return time.Unix(expires, 0).Sub(s.now) <= life/3
}

// encode does what Claims.Encode does, at s.now instead of the present.
func (s signer) encode(c jwt.Claims) (string, error) {
	// The library checks and completes the claims, and stamps them with its
	// own clock; what it would have signed is dropped.
	unsigned := func(string, []byte) ([]byte, error) { return nil, nil }
	if _, err := c.EncodeWithSigner(s.key, unsigned); err != nil {
		return "", err
	}
	d := c.Claims()
	d.IssuedAt, d.ID = s.now.Unix(), ""
	j, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	sum := sha512.Sum512_256(j)
	d.ID = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])
	head, err := json.Marshal(jwt.Header{Type: jwt.TokenTypeJwt, Algorithm: jwt.AlgorithmNkey})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	text := b64.EncodeToString(head) + "." + b64.EncodeToString(body)
	sig, err := s.key.Sign([]byte(text))
	if err != nil {
		return "", err
	}
	return text + "." + b64.EncodeToString(sig), nil
}

// sameClaims reports whether two tokens differ in nothing but the time they
// were made at.
func sameClaims(a, b string) bool {
	x, y := timeless(a), timeless(b)
	return x != nil && reflect.DeepEqual(x, y)
}

func timeless(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	for _, k := range []string{"iat", "jti", "exp"} {
		delete(m, k)
	}
	return m
}

// public returns the public key of k, or "" for a key that is not there.
func public(k nkeys.KeyPair) string {
	if k == nil {
		return ""
	}
	p, err := k.PublicKey()
	if err != nil {
		return ""
	}
	return p
}
