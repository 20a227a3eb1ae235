package tunnel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/tunnel"
	"github.com/ringway/ringway/topology"
)

func TestKeptnRules(t *testing.T) {
	r := tunnel.KeptnRules()
	for _, c := range []struct {
		method, target string
		allowed        bool
	}{
		{"DELETE", "/api/controlPlane/v1/log", false},
		{"DELETE", "/api/controlPlane/v1/log?x=1", false},
		{"DELETE", "/api/controlPlane//v1/%6cog/", false},
		{"DELETE", "/api/x/../controlPlane/v1/log", false},
		{"DELETE", "/api/x/%2e%2e/controlPlane/v1/log", false},
		{"POST", "/api/controlPlane/v1/log", true},
		{"DELETE", "/api/controlPlane/v1/uniform/registration/1", true},
		{"GET", "/api/mongodb-datastore/event?type=x", true},
		{"HEAD", "/api/mongodb-datastore/event", true},
		{"OPTIONS", "/api/mongodb-datastore/event", true},
		{"POST", "/api/mongodb-datastore/event", false},
		{"POST", "/mongodb-datastore/event", false},
		{"GET", "/api/mongodb-datastore/event/type/x", true},
		{"GET", "/api/mongodb-datastore/health", false},
		{"GET", "/api/resource-service/v1/project", false},
		{"GET", "/api/resource-service/v1/project/", false},
		{"DELETE", "/api/resource-service/v1/project/p", false},
		{"POST", "/api/resource-service/v1/project/p/stage", false},
		{"DELETE", "/api/resource-service/v1/project/p/stage/s", false},
		{"POST", "/api/resource-service/v1/project/p/stage/s/service", false},
		{"DELETE", "/api/configuration-service/v1/project/p/stage/s/service/c", false},
		{"GET", "/api/resource-service/v1/project/p/service/c/resource", false},
		{"GET", "/api/resource-service/v1/project/p/service/c/resource/a%2Fb", false},
		{"GET", "/api/resource-service/v1/project/p/resource", true},
		{"GET", "/api/resource-service/v1/project/p/resource/slo.yaml", true},
		{"GET", "/api/resource-service/v1/project/p/stage/s/resource/a", true},
		{"GET", "/api/resource-service/v1/project/p/stage/s/service/c/resource/helm%2Fc.tgz?gitCommitID=", true},
		{"GET", "/api/resource-service/v1/project/p/stage/s/service/c/resource/job%252Fconfig.yaml", true},
		{"POST", "/api/statistics/v1/event", false},
		{"POST", "/api/v1/event", true},
		{"GET", "/api/v1/metadata", true},
	} {
		require.Equal(t, c.allowed, r.Allow("us", c.method, c.target), "%s %s", c.method, c.target)
	}
	s := tunnel.KeptnServiceRules("shipyard-controller")
	require.False(t, s.Allow("us", "DELETE", "/v1/log"))
	require.True(t, s.Allow("us", "POST", "/v1/log"))
	require.False(t, tunnel.KeptnServiceRules("mongodb-datastore").Allow("us", "PUT", "/event"))
}

func TestRules(t *testing.T) {
	r := tunnel.Rules{
		{Stamps: []topology.StampID{"us"}, Methods: []string{"GET"}, Paths: []string{"/public/**"}},
		{Stamps: []topology.StampID{"eu"}},
	}
	require.True(t, r.Allow("eu", "POST", "/x"))
	require.True(t, r.Allow("us", "GET", "/public"))
	require.True(t, r.Allow("us", "GET", "/public/a/b?c"))
	require.False(t, r.Allow("us", "POST", "/public/a"))
	require.False(t, r.Allow("us", "GET", "/private"))
	require.False(t, r.Allow("us", "GET", "/public/../private"), "every reading has to be allowed")
	require.False(t, r.Allow("us", "GET", "/public%2F..%2F../private"))
	require.True(t, tunnel.Rules(nil).Allow("us", "GET", "/x"))
}
