package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTokenReviewIsMeant: who is let in by a token of an account has to be said,
// and that somebody may be asked whose it is.
func TestTokenReviewIsMeant(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Rest)
		want string
	}{
		"off":               {func(*Rest) {}, ""},
		"on":                {func(r *Rest) { r.TokenReview, r.Accounts = "dir", []string{"keptn-exec/*", "ops/admin"} }, ""},
		"nobody":            {func(r *Rest) { r.TokenReview = "dir" }, "rest.tokenReview: needs rest.accounts"},
		"nobody is asked":   {func(r *Rest) { r.Accounts = []string{"ops/admin"} }, "rest.accounts: needs rest.tokenReview"},
		"any namespace":     {func(r *Rest) { r.TokenReview, r.Accounts = "dir", []string{"*/admin"} }, `"*/admin" is not namespace/name`},
		"half a name":       {func(r *Rest) { r.TokenReview, r.Accounts = "dir", []string{"ops/a*"} }, `"ops/a*" is not namespace/name`},
		"no name":           {func(r *Rest) { r.TokenReview, r.Accounts = "dir", []string{"ops"} }, `"ops" is not namespace/name`},
		"for anybody":       {func(r *Rest) { r.TokenReview, r.Accounts, r.Audience = "dir", []string{"ops/*"}, "" }, "rest.audience: is empty"},
		"in the clear":      {func(r *Rest) { r.TokenReview, r.Accounts, r.TokenReviewURL = "dir", []string{"ops/*"}, "http://k8s" }, "is not https://host:port"},
		"for targets alone": {func(r *Rest) { r.TokenReview, r.Accounts, r.Tunnel = "dir", []string{"ops/*"}, "token" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := DefaultOptions()
			o.Stamp = "one"
			c.edit(&o.Rest)
			err := o.Validate()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}
