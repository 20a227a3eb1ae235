package bench_test

import (
	"bytes"
	"compress/gzip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/bridge"
)

// BenchmarkPack is about what it takes to make one message of several events, and how
// much smaller that is.
func BenchmarkPack(b *testing.B) {
	for _, l := range []struct {
		name string
		size int
		one  bodyOf
	}{{"values 1 KB", 1 << 10, eventOf}, {"values 20 KB", 20 << 10, eventOf}, {"opaque 20 KB", 20 << 10, opaqueOf}} {
		copies := copiesOf(b, l.size, l.one)
		plain := bridge.AppendPack(nil, copies)
		for name, pack := range map[string]func() []byte{
			"plain": func() []byte { return bridge.AppendPack(make([]byte, 0, len(plain)), copies) },
			"s2":    func() []byte { return bridge.Pack(copies) },
			"gzip": func() []byte {
				var out bytes.Buffer
				z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
				require.NoError(b, err)
				_, err = z.Write(bridge.AppendPack(make([]byte, 0, len(plain)), copies))
				require.NoError(b, err)
				require.NoError(b, z.Close())
				return out.Bytes()
			},
		} {
			b.Run(l.name+"/"+name, func(b *testing.B) {
				var n int
				for b.Loop() {
					n = len(pack())
				}
				b.ReportMetric(float64(len(plain))/float64(n), "times-smaller")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(copies)), "ns/event")
			})
		}
	}
}

// copiesOf returns as many events as travel in one message.
func copiesOf(b *testing.B, size int, one bodyOf) (copies []*bridge.Copy) {
	b.Helper()
	var n uint64
	m := newMakerOf(b, size, &n, one)
	for room := bridge.MaxPackBytes; len(copies) < bridge.MaxPack; {
		body, i := m.next()
		c := &bridge.Copy{
			Key: bridge.KeyOf(string(body[:100]), triggered, triggered), Subject: triggered, Hop: i, Captured: time.Unix(1_700_000_000, 0),
			Mode: bridge.ModeWait, Rule: "stage dev", Body: bytes.Clone(body),
		}
		if room -= c.Packed(); room < 0 {
			break
		}
		copies = append(copies, c)
	}
	return copies
}
