package poll_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/bridge/poll"
	"github.com/ringway/ringway/topology"
)

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAboutIsOfTheControlPlane: as long as it is known, also when it cannot be
// asked any more.
func TestAboutIsOfTheControlPlane(t *testing.T) {
	b := newStopped(t)
	asked := 0
	b.edit = func(c *poll.Config) {
		c.Control = func(cp *topology.ControlPlane, service string) http.RoundTripper {
			require.Equal(t, "k", cp.Name)
			require.Equal(t, call.API, service)
			return tripper(func(r *http.Request) (*http.Response, error) {
				require.Equal(t, "/v1/metadata", r.URL.Path)
				if asked++; asked > 1 {
					return nil, errors.New("the uplink is down")
				}
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"keptnversion":"1.4.5"}`))}, nil
			})
		}
	}
	b.start()
	for range 3 {
		require.JSONEq(t, `{"keptnversion":"1.4.5"}`, b.do(http.MethodGet, "/api/v1/metadata", nil).text)
	}
	require.Equal(t, 1, asked)
}
