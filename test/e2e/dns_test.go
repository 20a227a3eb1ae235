package e2e_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/gateway"
	"github.com/ringway/ringway/internal/natstest"
	"github.com/ringway/ringway/test/fed"
	"github.com/ringway/ringway/topology"
)

// A names is a DNS server, in which headless Services have their names, and makes
// this process ask it.
type names struct {
	conn net.PacketConn

	wg   sync.WaitGroup
	mu   sync.Mutex          // guards the following field
	addr map[string][]net.IP // by name
}

// newNames serves until the test ends. It changes the resolver of the process.
func newNames(t *testing.T) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &names{conn: conn, addr: map[string][]net.IP{}}
	n.wg.Go(n.serve)
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = was
		require.NoError(t, conn.Close())
		n.wg.Wait()
	})
	return n
}

// set says which addresses a name has from now on.
func (n *names) set(name string, addr ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr[name] = nil
	for _, a := range addr {
		n.addr[name] = append(n.addr[name], net.ParseIP(a).To4())
	}
}

func (n *names) serve() {
	b := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if a := n.answer(b[:size]); a != nil {
			_, _ = n.conn.WriteTo(a, from)
		}
	}
}

// answer answers a question: RFC 1035, section 4.
func (n *names) answer(q []byte) []byte {
	const header, inet, typeA = 12, 1, 1
	end := header
	var labels []string
	for end < len(q) && q[end] != 0 {
		size := int(q[end])
		labels = append(labels, string(q[end+1:end+1+size]))
		end += 1 + size
	}
	end += 5 // the root, type and class
	if end > len(q) {
		return nil
	}
	a := append([]byte{}, q[:end]...)
	a[2], a[3] = 0x84|q[2]&1, 0x80 // an answer, with authority
	clear(a[6:header])
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, known := n.addr[strings.Join(labels, ".")]
	if !known {
		a[3] |= 3 // there is no such name
		return a
	}
	if binary.BigEndian.Uint16(q[end-4:]) != typeA {
		return a
	}
	binary.BigEndian.PutUint16(a[6:], uint16(len(addr))) //nolint:gosec // a few
	for _, ip := range addr {
		a = append(a, 0xc0, header, 0, typeA, 0, inet, 0, 0, 0, 0, 0, net.IPv4len)
		a = append(a, ip...)
	}
	return a
}

// TestReplicasFoundByDNS: the replicas of a hub and of a leaf find each other by
// a name each, also one that the name did not have at first, or that was away.
func TestReplicasFoundByDNS(t *testing.T) {
	if beside(t) {
		return
	}
	n := newNames(t)
	_, local, err := net.SplitHostPort(natstest.Addr(t))
	require.NoError(t, err)
	_, link, err := net.SplitHostPort(natstest.Addr(t))
	require.NoError(t, err)
	stamps := map[topology.StampID]string{"control": "127.8.0.1", "tls": "127.9.0.1"}
	name := func(s topology.StampID) string { return string(s) + ".ringway.test" }
	f := fed.Prepare(t, tripled, func(o *gateway.Options) {
		if host, ok := stamps[o.Stamp]; ok {
			host += o.Replica.Name
			o.Listen.Routes, o.Listen.LinkRoutes = net.JoinHostPort(host, local), net.JoinHostPort(host, link)
			o.Replica.Peers, o.Replica.LinkPeers, o.Replica.PeersDNS = nil, nil, name(o.Stamp)
		}
	})
	explain(t, f, "control", "tls")
	for s, host := range stamps {
		n.set(name(s), host+"0", host+"1") // the third has no address yet
	}
	require.NoError(t, f.Start(t.Context()))
	whole := func() {
		t.Helper()
		for s, host := range stamps {
			n.set(name(s), host+"0", host+"1", host+"2")
			require.Eventually(t, func() bool {
				for i := range 3 {
					if r := f.Replica(s, i).Gateway().Status().Replica; r.Reached != 3 || !r.Quorum {
						return false
					}
				}
				return true
			}, 2*fed.Patience, 10*time.Millisecond)
		}
		f.Linked()
	}
	whole()
	tap := f.Tap("tls", triggered, "")
	const count, contexts = 30, 5
	shipyard := f.Client("control")
	publishAll := func(first, last int) {
		t.Helper()
		for i := first; i < last; i++ {
			publish(t, shipyard, event(triggered, fmt.Sprint(i), "dev", fmt.Sprint(i%contexts)))
		}
	}
	publishAll(0, count)
	all := tap.Bodies(count)
	for s, host := range stamps {
		f.StopReplica(s, 2)
		n.set(name(s), host+"0", host+"1")
		f.StartReplica(s, 2)
	}
	whole()
	publishAll(count, 2*count)
	requireInOrder(t, append(all, tap.Bodies(count)...), 2*count, contexts)
}
