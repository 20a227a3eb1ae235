package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge/plane"
)

func TestPlanesCommand(t *testing.T) {
	now := time.Now()
	all := []plane.Copy{
		{Stamp: "eu", At: now, Planes: []plane.Plane{{
			Stamp: "eu", ID: "1", Name: "helm-service", Namespace: "keptn-exec.eu", How: plane.NATS, State: plane.Stale, Since: now, Reason: "away", Seen: now,
			Subscriptions: []plane.Subscription{{ID: "s", Event: "sh.keptn.event.deployment.triggered", Filter: plane.Filter{Stages: []string{"dev", "hardening"}}}},
		}}},
		{Stamp: "us", At: now.Add(-time.Minute), Planes: []plane.Plane{
			{Stamp: "us", ID: "2", Name: "script", Namespace: "keptn-exec.us", How: plane.OnBehalf, Via: plane.HTTP, State: plane.Fresh, Seen: now},
		}},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(all) }))
	defer srv.Close()
	admin := srv.URL
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := newPlanesCommand()
		cmd.SetArgs(append(args, "--admin", admin))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	table, err := run("list")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^eu +helm-service +keptn-exec.eu +nats +stale +0s ago +deployment.triggered\[\*/dev,hardening/\*\] +0s ago$`, table)
	require.Regexp(t, `(?m)^us +script +keptn-exec.us +on-behalf, http +fresh +\S+ ago +- +1m0s ago$`, table)
	wide, err := run("list", "-o", "wide")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^STAMP .* HEARD +SINCE +ID +REASON$`, wide)
	require.Regexp(t, `(?m)^eu +helm-service .* 0s ago +0s ago +1 +away$`, wide)
	one, err := run("list", "--stamp", "us", "-o", "yaml")
	require.NoError(t, err)
	require.Contains(t, one, "name: script")
	require.NotContains(t, one, "helm-service")
	shown, err := run("show", "1")
	require.NoError(t, err)
	require.Contains(t, shown, "away")
	require.Contains(t, shown, "sh.keptn.event.deployment.triggered [*/dev,hardening/*]")
	js, err := run("show", "script", "-o", "json")
	require.NoError(t, err)
	var back struct {
		Kind  string
		Items []plane.Plane
	}
	require.NoError(t, json.Unmarshal([]byte(js), &back))
	require.Equal(t, "PlaneList", back.Kind)
	require.Len(t, back.Items, 1)
	admin = strings.TrimPrefix(srv.URL, "http://")
	same, err := run("list", "--stamp", "us", "-o", "yaml")
	require.NoError(t, err, "an address as gateway.yaml has it")
	require.Equal(t, one, same)
	_, err = run("show", "nobody")
	require.ErrorContains(t, err, "ringway planes list")
	_, err = run("list", "-o", "xml")
	require.ErrorContains(t, err, "xml")
}
