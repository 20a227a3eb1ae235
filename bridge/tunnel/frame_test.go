package tunnel

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFrames(t *testing.T) {
	h := http.Header{"A": {"1", "\xff"}, "": {""}}
	var meta fields
	meta.num(metaLength, 7)
	f := headerFields(h)
	b := f.append(meta.append(appendFrame(nil, frameHead, 1<<60, 9)))
	got, ok := parseFrame(append(b, "body"...))
	require.True(t, ok)
	require.Equal(t, frameHead, got.kind)
	require.Equal(t, uint64(1<<60), got.id)
	require.Equal(t, uint32(9), got.seq)
	m, header, body, ok := parseHead(got.body)
	require.True(t, ok)
	require.Equal(t, int64(7), m.int(metaLength, -1))
	require.Equal(t, int64(-1), m.int(metaStatus, -1))
	require.Equal(t, h, header)
	require.Equal(t, "body", string(body))
	for n := range len(b) - frameLen {
		_, _, _, ok = parseHead(b[frameLen : frameLen+n])
		require.False(t, ok, "%d bytes of it", n)
	}
}

func FuzzHead(f *testing.F) {
	var meta fields
	meta.add(metaMethod, "GET")
	f.Add(meta.append(meta.append(nil)))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _, _, _ = parseHead(b)
		parseReset("us", b)
	})
}
