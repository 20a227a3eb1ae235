package plane

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRefusal: what a control plane says is told from what those on the way say,
// and where it wants another token, whoever reads the log learns where to look.
func TestRefusal(t *testing.T) {
	said := func(status int, reason, body string) error {
		h := http.Header{}
		if reason != "" {
			h.Set("Ringway-Reason", reason)
		}
		return refusal(&http.Response{StatusCode: status, Header: h}, []byte(body))
	}
	require.ErrorIs(t, said(404, "", `{"code":404,"message":"uniform integration not found"}`), errNotFound)
	require.ErrorIs(t, said(404, "no-target", `{"code":404,"message":"x"}`), errAway)
	require.NotErrorIs(t, said(400, "", `{"code":400,"message":"x"}`), errAway)
	require.ErrorIs(t, said(503, "", "x"), errAway)
	err := said(401, "", `{"code":401,"message":"unauthenticated or invalid credentials"}`)
	require.ErrorIs(t, err, errAway)
	require.ErrorContains(t, err, "controlPlanes in gateway.yaml")
	require.NotContains(t, said(403, "denied", `{"code":403,"message":"x"}`).Error(), "gateway.yaml")
}
