package inbox

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// TestKeptBodyKeepsNothingElse: an event that waits must not keep in memory all that it
// came with, for that is not counted.
func TestKeptBodyKeepsNothingElse(t *testing.T) {
	t.Parallel()
	pack := []byte("the key, the body, the id, the context, and many others")
	part := func(from, to int) string { return unsafe.String(&pack[from], to-from) }
	b := newBodies()
	b.keep(arrival{seq: 1, packed: true, key: part(0, 7), body: pack[9:17], id: part(19, 25), context: part(27, 38)})
	a, ok := b.take(1)
	require.True(t, ok)
	clear(pack)
	require.Equal(t, "the key the body the id the context", a.key+" "+string(a.body)+" "+a.id+" "+a.context)
}

// TestArrivalsDoNotKeepTheirSubject: that of a pack names all of its events.
func TestArrivalsDoNotKeepTheirSubject(t *testing.T) {
	t.Parallel()
	c := bridge.Copy{Key: bridge.KeyOf("1", "", ""), Subject: "x", Captured: time.Unix(1, 0), Mode: bridge.ModeWait, Body: []byte("{}")}
	wire := []byte(bridge.PackSubject("b", "from", []*bridge.Copy{&c}))
	all := readMessage(unsafe.String(&wire[0], len(wire)), nil, bridge.Pack([]*bridge.Copy{&c}), 1)
	require.Len(t, all, 1)
	clear(wire)
	require.Equal(t, "from from", string(all[0].from)+" "+string(all[0].origin))
}
