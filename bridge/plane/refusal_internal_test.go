package plane

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRefuse: whoever may try again is told when, and what is too long is not
// called malformed.
func TestRefuse(t *testing.T) {
	w := httptest.NewRecorder()
	refuse(w, http.StatusServiceUnavailable, "away")
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	w = httptest.NewRecorder()
	refuse(w, http.StatusNotFound, "none")
	require.Empty(t, w.Header().Get("Retry-After"))
	w = httptest.NewRecorder()
	require.False(t, read(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"name":"too long"}`)), 8, &Integration{}))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
}

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
