package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
)

// TestTracingOptions: what cannot be meant is refused, and files are found beside
// gateway.yaml.
func TestTracingOptions(t *testing.T) {
	o := gateway.DefaultOptions()
	o.Stamp, o.Topology, o.Identity, o.Data = "a", "t", "i", "d"
	require.NoError(t, o.Validate())
	require.Empty(t, o.Tracing.Endpoint, "it is off unless somebody asks for it")
	for endpoint, want := range map[string]string{
		"https://collector.example:4318":          "",
		"http://collector.example:4318":           "is not encrypted",
		"collector:4318":                          "is no URL",
		"https://me:secret@collector.example":     "put them into headersFile",
		"https://collector.example/otlp/v1/spans": "",
	} {
		o.Tracing.Endpoint = endpoint
		if err := o.Validate(); want == "" {
			require.NoError(t, err, endpoint)
		} else {
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "secret")
		}
	}
	o.Tracing = gateway.Tracing{Endpoint: "http://localhost:4318", Insecure: true, Ratio: 1.5, HeadersFile: "h", CA: "c"}
	require.ErrorContains(t, o.Validate(), "tracing.ratio: 1.5 is not between 0 and 1")
	o.CompletePaths(func(p string) string { return "/etc/" + p })
	require.Equal(t, "/etc/h", o.Tracing.HeadersFile)
	require.Equal(t, "/etc/c", o.Tracing.CA)
}
