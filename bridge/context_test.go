package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// TestContextOf: a text that is no UUID becomes the one that Keptn makes of it,
// and a UUID stays as it is written, or answers would miss their sequence.
func TestContextOf(t *testing.T) {
	for given, want := range map[string]string{
		"":                                     "",
		"0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33": "",
		"0B1E7A36-2D54-4D0C-8F0E-5F8A7A1D2C33": "",
		"0b1e7a362d544d0c8f0e5f8a7a1d2c33":     "",
		"urn:uuid:0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33": "",
		"{0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c33}":        "",
		"short":                                         "73686f72-7420-4020-a020-202020202020",
		"0b1e7a36-2d54-4d0c-8f0e-5f8a7a1d2c3x":          "30623165-3761-4336-ad32-6435342d3464",
		"0b1e7a362d544d0c8f0e5f8a7a1d2c3x":              "30623165-3761-4336-b264-353434643063",
	} {
		if want == "" {
			want = given
		}
		require.Equal(t, want, bridge.ContextOf(given), given)
	}
}
