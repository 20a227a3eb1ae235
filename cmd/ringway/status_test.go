package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
)

var regexpColor = regexp.MustCompile(`\x1b\[[0-9]*m`)

// oneOfEach is a federation with one of everything that can be shown.
func oneOfEach() *gateway.Federation {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	letters := uint64(3)
	status := func(version, hash string, p gateway.PlaneStatus) *gateway.Status {
		return &gateway.Status{
			Version: version, Since: now.Add(-49 * time.Hour), DeadLetters: &letters, Planes: p,
			Topology: gateway.TopologyStatus{Hash: hash}, Condition: gateway.ConditionOK,
		}
	}
	replicated := status("v1.2.3", "abc", gateway.PlaneStatus{Fresh: 4})
	replicated.Replica = &gateway.ReplicaStatus{Reached: 2, Want: 3}
	expires := func(d time.Duration) *gateway.Expiry {
		return &gateway.Expiry{File: "leaf.creds", Kind: "user", Name: "x", At: now.Add(d)}
	}
	return &gateway.Federation{
		APIVersion: "ringway/v1", Kind: "Federation", Name: "test", Hash: "abc", Asked: "hub", At: now,
		Stamps: []gateway.StampReport{
			{
				Stamp: "hub", Geo: "emea", Ring: "dev", Way: gateway.WayHere, Via: "gateway", Answered: true, Expires: expires(301 * day), Status: replicated,
				Causes: []gateway.Cause{{Side: "hub", Reason: "2 of 3 replicas reached"}},
			},
			{
				Stamp: "eu-1", Geo: "emea", Ring: "prod", Way: gateway.WayUp, Via: "leaf:7422", Answered: true, Clock: 0.0123,
				Canary:  &gateway.CanaryReport{From: "hub", Age: 4.2, RTT: 0.0181, Delay: 0.009, Of: 60},
				Expires: expires(301 * day), Status: status("v1.2.3", "abc", gateway.PlaneStatus{Fresh: 3}),
			},
			{
				Stamp: "eu-2", Geo: "emea", Ring: "prod", Way: gateway.WayDown, Via: "wss:443", Outbox: 1204, Err: "did not answer",
				Canary: &gateway.CanaryReport{From: "hub", Age: 372, RTT: 0.02, Lost: 60, Of: 60, Stale: true},
				Causes: []gateway.Cause{{Code: gateway.CodeLink, Side: "eu-2 → hub", Addr: "hub.example:443", Reason: "no leafnode connection from it: no answer in time; it dials hub.example:443", Waits: 1204}},
			},
			{
				Stamp: "ap-1", Geo: "apac", Ring: "prod", Way: gateway.WayUp, Via: "leaf:7422", Answered: true, Clock: -61.5, Waiting: 3,
				Canary: &gateway.CanaryReport{From: "hub", Age: 2, RTT: 0.2104, Delay: 0.1, Lost: 1, Of: 60}, Expires: expires(6*day + time.Hour),
				Status: status("v1.2.2", "def", gateway.PlaneStatus{Fresh: 1, Stale: 1}),
			},
			{Stamp: "us-1", Geo: "us", Ring: "prod", Way: gateway.WayUnknown, Via: "leaf:7422", Err: "refused: hub is nobody"},
			{Stamp: "us-3", Geo: "us", Ring: "prod", Way: gateway.WayDown, Via: "leaf:7422", Outbox: 5, Causes: []gateway.Cause{{Code: gateway.CodeLink, Side: "hub → us-2", Addr: "us-2.example:7222", Reason: "gateway link is down: i/o timeout", Waits: 5}}},
			{Stamp: "us-2", Geo: "us", Ring: "prod", Way: gateway.WayDown, Via: "gateway", Canary: &gateway.CanaryReport{From: "hub", Age: 90, Never: true, Stale: true, Of: 6, Lost: 6}, Causes: many(8)},
		},
	}
}

func many(n int) []gateway.Cause {
	out := make([]gateway.Cause, n)
	for i := range out {
		out[i] = gateway.Cause{Code: gateway.CodeLink, Side: "hub → us-2", Addr: "us-2.example:7222", Reason: "gateway link is down: i/o timeout"}
	}
	return out
}

// TestStatusTable: the table of status and what stands below it.
func TestStatusTable(t *testing.T) {
	is := oneOfEach()
	for _, wide := range []bool{false, true} {
		var b bytes.Buffer
		require.NoError(t, statusTable{wide: wide, now: is.At}.print(&b, is))
		golden(t, map[bool]string{false: "status.txt", true: "status-wide.txt"}[wide], b.String())
	}
	var plain, red bytes.Buffer
	require.NoError(t, statusTable{now: is.At}.print(&plain, is))
	require.NoError(t, statusTable{now: is.At, color: true}.print(&red, is))
	require.Equal(t, plain.String(), regexpColor.ReplaceAllString(red.String(), ""), "colours move nothing")
	require.NotEqual(t, plain.String(), red.String())
}

// TestStatusChecks: what monitoring systems read.
func TestStatusChecks(t *testing.T) {
	is := oneOfEach()
	var b bytes.Buffer
	f := statusFlags{output: "table", format: "nagios", expect: 5}
	require.Equal(t, exitCode(nagiosCritical), f.judge(&b, is, nil))
	golden(t, "status-nagios.txt", b.String())
	b.Reset()
	f.format = "prometheus"
	require.Equal(t, exitCode(exitChecks), f.judge(&b, is, nil))
	golden(t, "status-prometheus.txt", b.String())

	is.Stamps = is.Stamps[1:2]
	b.Reset()
	f = statusFlags{format: "nagios"}
	require.NoError(t, f.judge(&b, is, nil))
	require.Equal(t, "RINGWAY OK: 1 of 1 stamps are up | up=1 down=0 outbox=0 waiting=0 canary_age=4.200s expires=26006400s\n", b.String())
	b.Reset()
	require.Equal(t, exitCode(nagiosUnknown), f.judge(&b, nil, errReported))
	require.Equal(t, "RINGWAY UNKNOWN: failed\n", b.String())
	b.Reset()
	is.Stamps[0].Expires.At = is.At.Add(20 * day)
	require.Equal(t, exitCode(nagiosWarning), f.judge(&b, is, nil))
	require.Contains(t, b.String(), "RINGWAY WARNING: 1 of 1 stamps are up; eu-1: user x expires in 20d |")
}

// TestBrief: durations as people read them.
func TestBrief(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"350µs": 351 * time.Microsecond, "1.2ms": 1234 * time.Microsecond, "18ms": 18123 * time.Microsecond, "4s": 4900 * time.Millisecond,
		"6m12s": 372 * time.Second, "5h3m": 5*time.Hour + 3*time.Minute + 9*time.Second, "61d": 61*day + time.Hour, "-4s": -4 * time.Second,
	} {
		require.Equal(t, want, brief(d))
	}
}

// TestExamination: how findings are shown.
func TestExamination(t *testing.T) {
	find := func(stamp, category, check string, l gateway.Level, detail, code string) gateway.Finding {
		return gateway.Finding{Stamp: "hub", Category: category, Check: stamp + check, Level: l, Detail: detail, Code: code, See: gateway.See(code)}
	}
	is := &gateway.Examination{Asked: "hub", Answered: 2, Findings: []gateway.Finding{
		find("", "dns", "the name of hub one has an address", gateway.LevelOK, "", ""),
		find("", "disk", "the disk has room", gateway.LevelWarning, "/data: 9 MiB of 100 MiB are free", gateway.CodeStore),
		find("", "disk", "streams can be written", gateway.LevelOK, "", ""),
		find("", "canaries", "events get through to far", gateway.LevelFailure, "none for 1m", gateway.CodeLink),
	}}
	for name, short := range map[string]bool{"doctor.txt": false, "doctor-short.txt": true} {
		var b bytes.Buffer
		require.NoError(t, printExamination(&b, is, short))
		golden(t, name, b.String())
	}
}

// TestWatch: the status is shown again and again, also when the gateway cannot be
// asked for a while, and an interrupt ends it well.
func TestWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 2:
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		case 4:
			cancel()
		}
		_ = json.NewEncoder(w).Encode(oneOfEach())
	}))
	defer srv.Close()
	var out, errs bytes.Buffer
	require.Equal(t, exitOK, execute(ctx, []string{"status", "--watch", "--interval", "100ms", "--admin", srv.URL}, &out, &errs), errs.String())
	require.Equal(t, 2, strings.Count(out.String(), "GEO "))
	require.Contains(t, out.String(), "answered 503: not now")
}
