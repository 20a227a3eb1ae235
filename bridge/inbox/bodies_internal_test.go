package inbox

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
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
