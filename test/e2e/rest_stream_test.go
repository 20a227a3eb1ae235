package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// TestRESTStreams: what a target sends piece by piece arrives piece by piece, as a
// watch does; and when the client goes the upstream knows.
func TestRESTStreams(t *testing.T) {
	next, gone := make(chan string), make(chan struct{})
	up := upstream(t, "", func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case s := <-next:
				fmt.Fprintln(w, s)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				close(gone)
				return
			}
		}
	})
	f := restWorld(t, up.URL, up.URL, up.URL, func(o *gateway.Options) { o.Rest.IdleTimeout = 200 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.Stamp("tls").RESTURL(), "http://"))
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(fed.Patience)))
	_, err = io.WriteString(conn, "GET /t/wss/k8s/api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	next <- "0"
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for i := range 5 {
		require.True(t, lines.Scan(), lines.Err())
		require.Equal(t, fmt.Sprint(i), lines.Text())
		select { // a watch may be silent for longer than a slow client may be
		case <-time.After(250 * time.Millisecond):
		case <-gone:
			require.Fail(t, "cut off")
		}
		next <- fmt.Sprint(i + 1)
	}
	require.NoError(t, conn.Close())
	select {
	case <-gone:
	case <-time.After(fed.Patience):
		require.Fail(t, "the upstream was not told")
	}
}

// TestRESTUpgrades: bytes pass both ways after the protocol has changed, whatever
// it is; a target that does not allow it refuses.
func TestRESTUpgrades(t *testing.T) {
	up := upstream(t, "", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n", r.Header.Get("Upgrade"))
		_ = rw.Flush()
		for {
			b, err := rw.ReadByte()
			if err != nil {
				return
			}
			_ = rw.WriteByte(b ^ 0xff)
			if rw.Reader.Buffered() == 0 && rw.Flush() != nil {
				return
			}
		}
	})
	f := restWorld(t, up.URL, up.URL, up.URL)
	at := f.Stamp("tls").RESTURL()
	for _, protocol := range []string{"SPDY/3.1", "websocket"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(fed.Patience)))
		fmt.Fprintf(conn, "POST /t/wss/k8s/api/v1/namespaces/n/pods/p/exec?command=sh HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
		require.Equal(t, protocol, res.Header.Get("Upgrade"))
		require.Equal(t, "v4.channel.k8s.io", res.Header.Get("X-Stream-Protocol-Version"))
		for n := 1; n <= 1<<20; n *= 32 {
			out := bytes.Repeat([]byte{0xa5}, n)
			sent := make(chan error, 1)
			go func() { _, err := conn.Write(out); sent <- err }()
			got := make([]byte, n)
			_, err = io.ReadFull(in, got)
			require.NoError(t, err)
			require.NoError(t, <-sent)
			require.Equal(t, bytes.Repeat([]byte{0x5a}, n), got)
		}
		require.NoError(t, conn.Close())
	}
	res, body := spoken(t, at, "GET /t/wss/read/api/v1/x HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n\n")
	require.Equal(t, http.StatusForbidden, res.StatusCode, body)
	require.Equal(t, "denied", res.Header.Get("Ringway-Reason"))
}

// TestRESTFollowsTheTopology: a target that is declared while everything runs is
// served, and one that is dropped is not.
func TestRESTFollowsTheTopology(t *testing.T) {
	up := upstream(t, "new", nil)
	f := restWorld(t, up.URL, up.URL, up.URL)
	at := f.Stamp("tls").RESTURL()
	code, _ := fetch(t, at, "x", "/t/hub/late/x", "")
	require.Equal(t, http.StatusNotFound, code)
	require.NoError(t, f.SetTopology([]byte(world+"targets: [{name: late, stamp: hub, url: \""+up.URL+"\"}]\n")))
	require.Eventually(t, func() bool {
		code, _ := fetch(t, at, "x", "/t/hub/late/x", "")
		return code == http.StatusOK
	}, fed.Patience, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		code, _ := fetch(t, at, "x", "/t/wss/k8s/x", "")
		return code == http.StatusNotFound
	}, fed.Patience, 20*time.Millisecond)
	code, body := fetch(t, at, "shipyard-controller", "/v1/project", "")
	require.Equal(t, http.StatusNotFound, code, "no API is named any more")
	require.Equal(t, `{"code":404,"message":"gateway of tls: the topology names no API of shipyard-controller for control plane keptn"}`, body)
}

// TestRESTOverALinkRestart: while the link servers of hubs restart, calls are
// served, or answered that there is no route or nobody to take them; those within
// a stamp are served.
func TestRESTOverALinkRestart(t *testing.T) {
	up := upstream(t, "here", nil)
	targets := fmt.Sprintf("targets:\n  - {name: up, stamp: hub, url: %q}\n  - {name: up, stamp: control, url: %q}\n", up.URL, up.URL)
	f := fed.New(t, world+targets)
	at := map[string]string{f.Stamp("control").RESTURL(): "/t/hub/up/x", f.Stamp("hub").RESTURL(): "/t/control/up/x", f.Stamp("tls").RESTURL(): "/t/control/up/x"}
	served := func() bool {
		all := true
		for url, target := range at {
			code, body := fetch(t, url, "x", target, "")
			require.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable, 521}, code, body)
			all = all && code == http.StatusOK
		}
		for _, own := range []topology.StampID{"control", "hub"} {
			code, body := fetch(t, f.Stamp(own).RESTURL(), "x", "/t/"+string(own)+"/up/x", "")
			require.Equal(t, http.StatusOK, code, body)
		}
		return all
	}
	require.Eventually(t, served, fed.Patience, 10*time.Millisecond)
	text := strings.Replace(world, "controlPlanes", `  - {name: third, geo: us, ring: prod, trusted: true, link: {kind: hub, advertise: {gateway: "third.example:7222"}}}`+"\ncontrolPlanes", 1) + targets
	require.NoError(t, f.SetTopology([]byte(text)))
	hash := hashOf(t, text)
	require.Eventually(t, func() bool {
		served()
		for _, id := range []topology.StampID{"control", "hub"} {
			if s := f.Status(id).Topology; s.Hash != hash || len(s.Pending) > 0 {
				return false
			}
		}
		return true
	}, fed.Patience, time.Millisecond)
	require.Eventually(t, served, fed.Patience, 10*time.Millisecond)
}

// TestRESTReplicas: any replica of a stamp serves its clients, and any of another
// serves its targets; one that stops takes nothing along.
func TestRESTReplicas(t *testing.T) {
	up := upstream(t, "keptn", nil)
	const without = "controlPlanes: [{name: keptn, stamp: control}]"
	f := fed.New(t, strings.Replace(tripled, without, fmt.Sprintf("controlPlanes: [{name: keptn, stamp: control, api: {url: %q}}]", up.URL+"/api"), 1))
	served := func(i int) bool {
		code, body := fetch(t, f.Replica("tls", i).RESTURL(), "shipyard-controller", "/v1/project", "")
		return code == http.StatusOK && body == "keptn GET /api/controlPlane/v1/project"
	}
	for i := range 3 {
		require.Eventually(t, func() bool { return served(i) }, fed.Patience, 10*time.Millisecond)
	}
	f.StopReplica("control", f.Active("control"))
	for range 20 {
		for i := range 3 {
			require.True(t, served(i))
		}
	}
}

// TestRESTStreamsDoNotHoldAStop: a gateway with open watches and connections stops
// in time, whichever end it is at, and the other end is told.
func TestRESTStreamsDoNotHoldAStop(t *testing.T) {
	up := upstream(t, "", func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.Header.Get("Upgrade") == "" {
			_ = control.Flush()
			<-r.Context().Done()
			return
		}
		conn, rw, err := control.Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(io.Discard, rw)
	})
	f := restWorld(t, up.URL, up.URL, up.URL)
	for _, stops := range []topology.StampID{"tls", "wss"} {
		var open []net.Conn
		for _, head := range []string{"", "Connection: Upgrade\r\nUpgrade: x\r\n"} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(f.Stamp("tls").RESTURL(), "http://"))
			require.NoError(t, err)
			require.NoError(t, conn.SetDeadline(time.Now().Add(fed.Patience)))
			fmt.Fprintf(conn, "GET /t/wss/k8s/x HTTP/1.1\r\nHost: x\r\n%s\r\n", head)
			line, err := bufio.NewReader(conn).ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 Switching Protocols\r\n"}, line)
			open = append(open, conn)
		}
		began := time.Now()
		f.Stop(stops)
		require.Less(t, time.Since(began), 8*time.Second)
		for _, conn := range open {
			_, err := io.Copy(io.Discard, conn)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, conn.Close())
		}
		f.Restart(stops)
		f.Linked()
		require.Eventually(t, func() bool {
			code, _ := fetch(t, f.Stamp("tls").RESTURL(), "x", "/t/hub/none/", "")
			return code == http.StatusNotFound
		}, fed.Patience, 10*time.Millisecond)
	}
}
